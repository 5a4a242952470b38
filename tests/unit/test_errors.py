"""Wrong arguments: each says what was given, what is allowed, and the nearest valid value."""

import math
import random
import re
from datetime import date, datetime

import numpy as np
import pytest
import torch
from torch import nn

from lesson_tf.attention import (
    KeyValueCache,
    MultiHeadAttention,
    SimpleAttention,
    causal_mask,
    padding_mask,
    scaled_dot_product_attention,
)
from lesson_tf.corpus import split_texts
from lesson_tf.dates import (
    DateBatches,
    era_years,
    forms,
    normalize,
    source_tokenizer,
    split,
    target_tokenizer,
    write,
)
from lesson_tf.decoding import beam_search, greedy, next_token_probabilities, sample
from lesson_tf.japanese_years import kanji_digits, kanji_number
from lesson_tf.model_summary import fold_layers
from lesson_tf.n_gram import NGram
from lesson_tf.positional_encoding import LearnedPositions, alibi_bias, rotary, sinusoidal
from lesson_tf.tokenization import (
    BPETokenizer,
    CharTokenizer,
    Tokenizer,
    WordTokenizer,
    split_words,
)
from lesson_tf.torch_weights import copy_torch_weights
from lesson_tf.training import (
    batch_loss,
    label_smoothing_floor,
    learning_rate_factor,
    sequence_loss,
    train,
)
from lesson_tf.transformer import (
    EncoderLayer,
    FeedForward,
    LanguageModel,
    Residual,
    StackCache,
    Transformer,
    TransformerConfig,
)

pytestmark = pytest.mark.usefixtures("unchecked")

x = torch.zeros(2, 5, 8)
ids = torch.ones(2, 5, dtype=torch.long)
attention = MultiHeadAttention(8, 2)
model = Transformer(TransformerConfig(9, 9, d_model=8, heads=2))
language_model = LanguageModel(TransformerConfig(9, 9, d_model=8, heads=2))
characters = CharTokenizer.train("abc")
pieces = BPETokenizer.train("abc abc", 258)


def filled_cache():
    cache = KeyValueCache()
    attention(x, cache=cache)
    return cache


def filled_stack_cache():
    cache = language_model.new_cache()
    language_model(ids, cache=cache)
    return cache


def config(**changes):
    return TransformerConfig(**{"source_vocab": 9, "target_vocab": 7, **changes})


def date_batches(days=(date(2024, 3, 5),), batch_size=2, seed=0, **choices):
    return DateBatches(days, source_tokenizer(), target_tokenizer(), batch_size, seed, **choices)


SENTENCES = {
    "no start of a mask": (
        lambda: causal_mask(3, start=-1),
        "start=-1 counts no positions; use 0 or more",
    ),
    "no start of positions": (
        lambda: sinusoidal(3, 8, start=1.5),
        "start=1.5 is no position; use 0 or more",
    ),
    "no cache of layers": (
        lambda: language_model(ids, cache=KeyValueCache()),
        "holds no layers; give the model's new_cache(), or None",
    ),
    "another model's cache": (
        lambda: language_model(ids, cache=StackCache(layers=5)),
        "the cache is made for 5 layers and the model has 2; give this model's new_cache()",
    ),
    "another batch's cache": (
        lambda: language_model(ids[:1], cache=filled_stack_cache()),
        "the cache holds 2 sequences and 1 were given; use a new cache for each batch",
    ),
    "a flat list of ids": (
        lambda: greedy(model, [4, 5, 6]),
        "ids=[4, 5, 6] are no batch; give a tensor (B, T) of whole numbers or a list of lists of token ids, "
        "for one text [ids]",
    ),
    "text for ids": (lambda: greedy(model, "2024"), "ids='2024' are no batch"),
    "ids that are no numbers": (lambda: greedy(model, torch.zeros(2, 3)), "are no batch"),
    "nothing to translate": (
        lambda: greedy(model, [[4], []]),
        "a row of ids is empty; give at least one token, such as the beginning",
    ),
    "a model that cannot write": (
        lambda: greedy(nn.Linear(2, 2), [[4]]),
        "model=Linear cannot write; give a Transformer or a LanguageModel",
    ),
    "no end": (
        lambda: greedy(model, [[4]], eos_id=9),
        "eos_id=9 is no token of the model; use 0 to 8, or None for no end",
    ),
    "no beginning": (
        lambda: greedy(model, [[4]], bos_id=None),
        "bos_id=None is no token of the model; use 0 to 8",
    ),
    "no new tokens": (
        lambda: sample(model, [[4]], max_new_tokens=0),
        "max_new_tokens=0 is too small; use 1 or more",
    ),
    "no beam": (lambda: beam_search(model, [[4]], width=0), "width=0 is too small"),
    "a length penalty below 0": (
        lambda: beam_search(model, [[4]], length_penalty=-1),
        "length_penalty=-1 ranks no texts; use 0 (the sum of log probabilities) to 10",
    ),
    "temperature 0": (
        lambda: sample(model, [[4]], temperature=0),
        "temperature=0 shapes no distribution; use a number above 0, such as 1.0; "
        "for the most probable token at every step, use greedy",
    ),
    "top_k of nothing": (lambda: sample(model, [[4]], top_k=0), "top_k=0 is too small"),
    "top_p over 1": (
        lambda: next_token_probabilities(x[0], top_p=1.5),
        "top_p=1.5 is no share of the probability; use a number above 0 and at most 1, such as 0.9",
    ),
    "more than was learned": (
        lambda: greedy(
            LanguageModel(TransformerConfig(9, 9, d_model=8, positions="learned", max_length=6)),
            [[4, 5, 6]],
            max_new_tokens=9,
        ),
        "3 tokens and max_new_tokens=9 are more than the 6 positions the model has learned; "
        "use max_new_tokens=4 or fewer",
    ),
    "heads": (
        lambda: MultiHeadAttention(30, 4),
        "d_model=30 cannot be split over heads=4; use heads in {1, 2, 3, 5, 6, 10, 15, 30}, "
        "or d_model=28 or 32",
    ),
    "more heads than width": (
        lambda: MultiHeadAttention(4, 6),
        "d_model=4 cannot be split over heads=6; use heads in {1, 2, 4}, or d_model=6",
    ),
    "no heads": (lambda: MultiHeadAttention(8, 0), "heads=0 is too small; use 1 or more"),
    "half a head": (lambda: MultiHeadAttention(8, 2.0), "heads=2.0 is no whole number"),
    "heads is a truth value": (
        lambda: MultiHeadAttention(8, True),
        "heads=True is no whole number",
    ),
    "negative width": (lambda: SimpleAttention(-3), "d_model=-3 is too small"),
    "width in words": (lambda: SimpleAttention("8"), "d_model='8' is no whole number"),
    "dropout of one": (lambda: MultiHeadAttention(8, 2, 1.0), "dropout=1.0 is no share"),
    "dropout NaN": (lambda: MultiHeadAttention(8, 2, math.nan), "dropout=nan is no share"),
    "a list": (lambda: attention([1.0]), "query=[1.0] holds no vectors"),
    "ids for vectors": (lambda: attention(ids), "query=a tensor of shape (2, 5) and type int64"),
    "too wide": (
        lambda: attention(torch.zeros(2, 5, 9)),
        "query has shape (2, 5, 9); its shape must be (..., T, 8)",
    ),
    "one vector": (lambda: attention(torch.zeros(8)), "query has shape (8,)"),
    "value without key": (lambda: attention(x, value=x), "a value was given without its key"),
    "other batch": (
        lambda: attention(x, torch.zeros(3, 5, 8)),
        "key of shape (3, 5, 8) has another batch",
    ),
    "keys without values": (
        lambda: attention(x, torch.zeros(2, 4, 8), torch.zeros(2, 3, 8)),
        "4 keys but 3 values",
    ),
    "mask of numbers": (
        lambda: attention(x, mask=torch.ones(5, 5)),
        "is not boolean; give True where",
    ),
    "mask too small": (
        lambda: attention(x, mask=causal_mask(4)),
        "the mask has shape (4, 4), which does not fit",
    ),
    "mask whose rank is a guess": (
        lambda: attention(x, mask=torch.ones(2, 5, 5, dtype=torch.bool)),
        "the mask has shape (2, 5, 5), which does not fit the scores of shape (2, 2, 5, 5); use (5, 5)",
    ),
    "bias of truth values": (
        lambda: attention(x, bias=causal_mask(5)),
        "cannot be added to the scores",
    ),
    "bias of other heads": (
        lambda: attention(x, bias=alibi_bias(3, 5, 5)),
        "the bias has shape (3, 5, 5)",
    ),
    "different d_k": (
        lambda: scaled_dot_product_attention(x, torch.zeros(2, 5, 7), x),
        "the query is 8 wide and the key 7",
    ),
    "different types": (
        lambda: scaled_dot_product_attention(x, x.double(), x),
        "give all in one type",
    ),
    "no tensor": (lambda: scaled_dot_product_attention(x, None, x), "key=None cannot attend"),
    "leading dimensions": (
        lambda: scaled_dot_product_attention(x, torch.zeros(3, 5, 8), torch.zeros(3, 5, 8)),
        "do not broadcast",
    ),
    "causal of nothing": (lambda: causal_mask(0), "length=0 is too small; use 1 or more"),
    "causal of half": (lambda: causal_mask(2.5), "length=2.5 is no whole number"),
    "padding of floats": (lambda: padding_mask(x, 0), "give whole numbers of shape (B, T)"),
    "padding of one sentence": (lambda: padding_mask(ids[0], 0), "for one sentence ids[None]"),
    "pad id in words": (lambda: padding_mask(ids, "<pad>"), "pad_id='<pad>' is no token id"),
    "odd width": (
        lambda: sinusoidal(5, 7),
        "d_model=7 is odd, and each frequency needs a pair of dimensions; use 6 or 8",
    ),
    "width of one": (
        lambda: sinusoidal(5, 1),
        "d_model=1 is odd, and each frequency needs a pair of dimensions; use 2",
    ),
    "negative length": (lambda: sinusoidal(-1, 8), "length=-1 is too small"),
    "base of one": (lambda: sinusoidal(5, 8, base=1.0), "base=1.0 makes no growing wavelengths"),
    "base NaN": (lambda: rotary(x, base=math.nan), "base=nan makes no growing wavelengths"),
    "rotary odd": (lambda: rotary(torch.zeros(3, 5)), "d_k=5 is odd"),
    "rotary ids": (lambda: rotary(ids), "cannot be turned"),
    "rotary list": (lambda: rotary([1.0]), "x=[1.0] cannot be turned"),
    "rotary positions": (
        lambda: rotary(x, torch.arange(4)),
        "positions of shape (4,) do not fit x of shape (2, 5, 8)",
    ),
    "rotary float positions": (lambda: rotary(x, torch.ones(5)), "are no whole numbers"),
    "learned too long": (
        lambda: LearnedPositions(6, 4)(7),
        "length=7 is longer than the max_length=6 positions that were learned; use at most 6",
    ),
    "learned cached too long": (lambda: LearnedPositions(6, 4)(2, start=5), "length=7 is longer"),
    "learned negative start": (
        lambda: LearnedPositions(6, 4)(2, start=-1),
        "start=-1 is no position; use 0 or more",
    ),
    "alibi without heads": (lambda: alibi_bias(0, 2, 2), "heads=0 is too small"),
    "alibi queries": (lambda: alibi_bias(2, 5, 3), "queries=5 are more than keys=3"),
    "config heads": (
        lambda: config(d_model=30, heads=4),
        "use heads in {1, 2, 3, 5, 6, 10, 15, 30}",
    ),
    "config positions": (
        lambda: config(positions="rotory"),
        "positions='rotory' is unknown; use one of none, sinusoidal, learned, rotary, alibi "
        "(the nearest is 'rotary')",
    ),
    "config no positions": (lambda: config(positions=None), "positions=None is unknown"),
    "config rotary": (lambda: config(d_model=12, heads=4, positions="rotary"), "d_k=3 is odd"),
    "config sinusoidal": (lambda: config(d_model=9, heads=3), "d_model=9 is odd"),
    "config vocabulary": (lambda: config(source_vocab=0), "source_vocab=0 is too small"),
    "config layers": (lambda: config(encoder_layers=-1), "encoder_layers=-1 is too small"),
    "config pad": (lambda: config(pad_id=7), "pad_id=7 is in no vocabulary; use 0 to 6, or None"),
    "config eps": (
        lambda: config(layer_norm_eps=0),
        "layer_norm_eps=0 cannot keep a division from 0",
    ),
    "config norm": (
        lambda: config(norm_first="yes"),
        "norm_first='yes' is no yes or no; use True or False",
    ),
    "config dropout": (lambda: config(dropout=-0.1), "dropout=-0.1 is no share"),
    "id too large": (
        lambda: model(ids * 9, ids),
        "token id 9 is outside the vocabulary of 9; use 0 to 8",
    ),
    "id negative": (
        lambda: model(ids, -ids),
        "token id -1 is outside the vocabulary of 9; use 0 to 8",
    ),
    "ids of one sentence": (lambda: model(ids[0], ids), "for one sentence ids[None]"),
    "ids are text": (lambda: model("text", ids), "token ids of 'text' cannot be read"),
    "ids are vectors": (
        lambda: model(x, ids),
        "token ids of a tensor of shape (2, 5, 8) and type float32 cannot be read",
    ),
    "empty source": (lambda: model(ids[:, :0], ids), "cannot be read"),
    "sources without targets": (lambda: model(ids, ids[:1]), "has another batch"),
    "copy from another": (
        lambda: copy_torch_weights(attention, nn.Linear(8, 8)),
        "MultiHeadAttention takes the weights of nn.MultiheadAttention, not of Linear",
    ),
    "copy into another": (
        lambda: copy_torch_weights(nn.Linear(8, 8), nn.Linear(8, 8)),
        "Linear has no counterpart",
    ),
    "copy without biases": (
        lambda: copy_torch_weights(attention, nn.MultiheadAttention(8, 2, bias=False)),
        "use kdim=None, vdim=None and bias=True",
    ),
    "copy other heads": (
        lambda: copy_torch_weights(attention, nn.MultiheadAttention(8, 4)),
        "ours has 2 heads and torch's 4",
    ),
    "copy other sizes": (
        lambda: copy_torch_weights(
            EncoderLayer(model.config), nn.TransformerEncoderLayer(8, 2, 99)
        ),
        "a weight of torch's has shape (99, 8) and ours (256, 8)",
    ),
    "copy other depth": (
        lambda: copy_torch_weights(model, nn.Transformer(8, 2, 1, 1, 256, batch_first=True)),
        "our Encoder has 2 layers and torch's 1",
    ),
    "no text": (lambda: characters.encode(None), "NoneType None is no text; give a string"),
    "bytes": (lambda: split_words(b"abc", "en"), "bytes b'abc' is no text"),
    "language": (lambda: split_words("abc", "fr"), "language='fr' is unknown; use one of en, ja"),
    "mode": (lambda: split_words("abc", "ja", mode="D"), "mode='D' is unknown; use one of A, B, C"),
    "tokenizer language": (lambda: WordTokenizer.train("abc", "jp"), "language='jp' is unknown"),
    "id outside": (
        lambda: characters.decode([7]),
        "token id 7 is outside the vocabulary of 7; use 0 to 6",
    ),
    "vocabulary too small": (
        lambda: CharTokenizer.train("abc", 3),
        "max_vocabulary=3 has no room for <pad>",
    ),
    "vocabulary without specials": (
        lambda: Tokenizer({"a": 0}),
        "the vocabulary lacks <pad>, <unk>, <bos>, <eos>",
    ),
    "ids twice": (
        lambda: CharTokenizer({**characters.vocabulary, "a": 0}),
        "the ids of a vocabulary of 7 tokens must be 0 to 6, each once",
    ),
    "a million heads' width": (
        lambda: MultiHeadAttention(10**12, 7),
        "d_model=1000000000000 is too large; use 1 to 65536",
    ),
    "more digits than print": (
        lambda: causal_mask(10**5000),
        "length=a whole number of 16610 bits is too large; use 1 to 65536",
    ),
    "table too large": (
        lambda: sinusoidal(10**9, 8),
        "length=1000000000 and d_model=8 make a tensor that is too large",
    ),
    "base beyond floats": (
        lambda: sinusoidal(5, 8, base=10**400),
        "base=a whole number of 1329 bits",
    ),
    "width of a tensor": (
        lambda: SimpleAttention(torch.tensor(8)),
        "d_model=a tensor of shape () and type int64 is no whole number",
    ),
    "other type than the weights": (
        lambda: attention(x.double()),
        "query is torch.float64 and the weights are torch.float32; "
        "convert it by query.to(torch.float32)",
    ),
    "other device than the weights": (
        lambda: attention(x.to("meta")),
        "query is on meta and the weights on cpu; move it by query.to('cpu')",
    ),
    "mask on another device": (
        lambda: attention(x, mask=causal_mask(5).to("meta")),
        "the mask is on meta and the query on cpu; move it by mask.to('cpu')",
    ),
    "tensors on two devices": (
        lambda: scaled_dot_product_attention(x, x.to("meta"), x),
        "query, key and value are on cpu, meta and cpu",
    ),
    "sparse": (lambda: attention(x.to_sparse()), "query=a sparse tensor of shape (2, 5, 8)"),
    "no width": (
        lambda: scaled_dot_product_attention(x[..., :0], x[..., :0], x),
        "needs the same d_k, 1 or more",
    ),
    "weights in words": (
        lambda: attention(x, need_weights="no"),
        "need_weights='no' is no yes or no",
    ),
    "rotate is no function": (lambda: attention(x, rotate=5), "rotate=5 cannot be called"),
    "rotate cuts": (
        lambda: attention(x, rotate=lambda v: v[..., :2]),
        "rotate made a tensor of shape (2, 2, 5, 2) and type float32 of",
    ),
    "rotate converts": (
        lambda: attention(x, rotate=torch.Tensor.double),
        "type float64 of a tensor",
    ),
    "cache is no cache": (lambda: attention(x, cache={}), "cache={} holds no keys"),
    "cache of another batch": (
        lambda: attention(torch.zeros(3, 1, 8), cache=filled_cache()),
        "use one cache for each layer and each batch",
    ),
    "cache of other heads": (
        lambda: MultiHeadAttention(8, 4)(x, cache=filled_cache()),
        "use one cache for each layer and each batch",
    ),
    "cache of another source": (
        lambda: attention(x, torch.zeros(2, 7, 8), cache=filled_cache()),
        "the cache holds keys of shape (2, 2, 5, 4) and this source needs (2, 2, 7, 4)",
    ),
    "keys to hold without values": (
        lambda: KeyValueCache().append(torch.zeros(1, 2, 3), torch.zeros(1, 4, 3)),
        "2 keys but 4 values",
    ),
    "padding of truth values": (lambda: padding_mask(ids > 0, 0), "token_ids=a tensor"),
    "padding of complex numbers": (lambda: padding_mask(ids * 1j, 0), "token_ids=a tensor"),
    "rotary complex positions": (
        lambda: rotary(x, torch.arange(5) * 1j),
        "positions=a tensor of shape (5,) and type complex64 are no whole numbers",
    ),
    "rotary positions elsewhere": (
        lambda: rotary(x, torch.arange(5, device="meta")),
        "positions are on meta and x is on cpu",
    ),
    "feed-forward of nothing": (lambda: FeedForward(8, -1), "d_ff=-1 is too small; use 1 or more"),
    "feed-forward width": (
        lambda: FeedForward(8, 16)(torch.zeros(2, 7)),
        "x has shape (2, 7); its shape must be (..., 8)",
    ),
    "residual without sublayer": (
        lambda: Residual(model.config)(x, None),
        "sublayer=None cannot be called",
    ),
    "layer of a dict": (lambda: EncoderLayer({}), "config={} is no TransformerConfig"),
    "model of a name": (lambda: Transformer("small"), "config='small' is no TransformerConfig"),
    "record is no list": (lambda: model.encode(ids, record=()), "record=() cannot receive weights"),
    "encoder of ids": (lambda: model.encoder(ids), "x=a tensor of shape (2, 5) and type int64"),
    "decoder without memory": (lambda: model.decode(ids, None), "memory=None holds no vectors"),
    "memory of another width": (
        lambda: model.decode(ids, torch.zeros(2, 5, 7)),
        "memory has shape (2, 5, 7); its shape must be (..., T, 8)",
    ),
    "memory of another source": (
        lambda: model.decode(ids, x, ids[:, :3]),
        "give the ids (2, 5) that went into encode, or None",
    ),
    "small integers as ids": (lambda: model(ids.byte(), ids), "give whole numbers (int64)"),
    "config name": (
        lambda: config(dmodel=8),
        "dmodel=8 is no choice of a Transformer; use source_vocab, ",
    ),
    "config nearest name": (lambda: config(dmodel=8), "(the nearest is 'd_model')"),
    "config too many": (lambda: TransformerConfig(*range(1, 20)), "19 values were given for 14"),
    "config matrix": (
        lambda: config(d_model=1024, d_ff=10**7),
        "d_ff=10000000 with d_model=1024 makes a matrix that is too large; use d_ff from 1 to 4194304",
    ),
    "config positions in an array": (
        lambda: config(positions=["rotary"]),
        "positions=['rotary'] is",
    ),
    "copy of another activation": (
        lambda: copy_torch_weights(
            EncoderLayer(model.config), nn.TransformerEncoderLayer(8, 2, 256, activation="gelu")
        ),
        "torch's layer uses gelu and ours relu",
    ),
    "copy of another order": (
        lambda: copy_torch_weights(
            EncoderLayer(model.config), nn.TransformerEncoderLayer(8, 2, 256, norm_first=True)
        ),
        "ours has norm_first=False and torch's norm_first=True",
    ),
    "copy of another epsilon": (
        lambda: copy_torch_weights(
            EncoderLayer(model.config), nn.TransformerEncoderLayer(8, 2, 256, layer_norm_eps=1e-6)
        ),
        "ours has layer_norm_eps=1e-05 and torch's 1e-06",
    ),
    "copy of a zero key": (
        lambda: copy_torch_weights(attention, nn.MultiheadAttention(8, 2, add_zero_attn=True)),
        "use add_bias_kv=False and add_zero_attn=False",
    ),
    "copy into rotary": (
        lambda: copy_torch_weights(
            Transformer(config(d_model=8, heads=2, positions="rotary")),
            nn.Transformer(8, 2, 2, 2, 256),
        ),
        "positions='rotary' act inside attention",
    ),
    "half a character": (
        lambda: split_words("a\ud800", "ja"),
        "'\\ud800' at position 1 is half a character",
    ),
    "language in a list": (lambda: split_words("a", ["ja"]), "language=['ja'] is unknown"),
    "digits for ids": (lambda: characters.decode("45"), "ids='45' cannot be read"),
    "one id": (lambda: characters.decode(4), "ids=4 cannot be read; give a flat list"),
    "ids with fractions": (lambda: characters.decode([4.7]), "4.7 is no token id"),
    "tensor with fractions": (lambda: characters.decode(torch.tensor([4.7])), "is no token id"),
    "ids of a batch": (lambda: characters.decode(ids), "[1, 1, 1, 1, 1] is no token id"),
    "vocabulary is a list": (lambda: Tokenizer(["a"]), "vocabulary=['a'] is no vocabulary"),
    "loss of one sentence": (
        lambda: sequence_loss(x[0], ids[0]),
        "logits=a tensor of shape (5, 8) and type float32 are no scores",
    ),
    "loss without the shift": (
        lambda: sequence_loss(x[:, :-1], ids),
        "target_ids=a tensor of shape (2, 5) and type int64 do not fit logits of shape (2, 4, 8)",
    ),
    "target outside": (
        lambda: sequence_loss(x, ids * 8),
        "token id 8 is outside the vocabulary of 8; use 0 to 7",
    ),
    "all padding": (lambda: sequence_loss(x, ids, 1), "all 10 targets are padding (pad_id=1)"),
    "pad id of the loss": (lambda: sequence_loss(x, ids, "0"), "pad_id='0' is no token id"),
    "smoothing away": (
        lambda: sequence_loss(x, ids, label_smoothing=1),
        "label_smoothing=1 is no share of the probability; "
        "use a number from 0 up to but not including 1, such as 0.9",
    ),
    "floor of nothing": (lambda: label_smoothing_floor(0, 0.1), "vocab=0 is too small"),
    "negative smoothing": (lambda: label_smoothing_floor(9, -0.1), "label_smoothing=-0.1 is no"),
    "step after the last": (
        lambda: learning_rate_factor(101, 100, 10),
        "step=101 does not fit steps=100; use a whole number from 0 to 100, such as 100",
    ),
    "warm-up too long": (
        lambda: train(model, [(ids, ids)] * 5, 5, warmup=5),
        "warmup=5 does not fit steps=5; use a whole number from 0 to 4, such as 4",
    ),
    "half a warm-up": (lambda: learning_rate_factor(0, 9, 2.5), "warmup=2.5 does not fit steps=9"),
    "no steps": (lambda: train(model, [(ids, ids)], 0), "steps=0 is too small; use 1 or more"),
    "too few batches": (
        lambda: train(model, [(ids, ids)], 9),
        "1 batches are too few for steps=9; give one for each step, or steps=1",
    ),
    "batches that run away": (
        lambda: train(model, iter([(ids, ids)]), 1),
        "cannot be asked for batches[step]; give a list",
    ),
    "no model": (lambda: train("model", [(ids, ids)], 1), "model='model' has no weights to train"),
    "batch without a tuple": (
        lambda: train(model, [ids], 1),
        "a batch of a tensor of shape (2, 5) and type int64 cannot be read; give a tuple of tensors",
    ),
    "target of one token": (
        lambda: batch_loss(model, (ids, ids[:, :1])),
        "the target of a batch, a tensor of shape (2, 1) and type int64, has no next token to learn",
    ),
    "learning rate of zero": (
        lambda: train(model, [(ids, ids)], 1, learning_rate=0),
        "learning_rate=0 is no size; use a number above 0, such as 0.003",
    ),
    "clip to nothing": (
        lambda: train(model, [(ids, ids)], 1, clip=0.0),
        "clip=0.0 is no size; use a number above 0, such as 1.0, or None",
    ),
    "growing weights": (
        lambda: train(model, [(ids, ids)], 1, weight_decay=-0.1),
        "weight_decay=-0.1 cannot shrink weights; use 0 or more",
    ),
    "evaluate is a number": (
        lambda: train(model, [(ids, ids)], 1, evaluate=5),
        "evaluate=5 cannot be called",
    ),
    "checkpoint is a number": (
        lambda: train(model, [(ids, ids)], 1, checkpoint=5),
        "checkpoint=5 is no path",
    ),
    "checkpoint every never": (
        lambda: train(model, [(ids, ids)], 1, checkpoint_every=0),
        "checkpoint_every=0 is too small",
    ),
    "progress in words": (
        lambda: train(model, [(ids, ids)], 1, progress="no"),
        "progress='no' is no yes or no",
    ),
    "vocabulary of words": (
        lambda: CharTokenizer({**characters.vocabulary, "a": "0"}),
        "must be 0 to 6, each once",
    ),
    "vocabulary is no room for bytes": (
        lambda: BPETokenizer.train("abc", 256, ["<pad>"]),
        "vocab_size=256 is too small; use 257 or more; 256 bytes and 1 special tokens",
    ),
    "vocab_size in words": (
        lambda: BPETokenizer.train("abc", "300"),
        "vocab_size='300' is no whole number; use 256 or more",
    ),
    "frequency of nothing": (
        lambda: BPETokenizer.train("abc", 300, min_frequency=0),
        "min_frequency=0 is too small; use 1 or more",
    ),
    "special token as text": (
        lambda: BPETokenizer.train("abc", 300, ["pad"]),
        "special token 'pad' could be a piece of text; put it in angle brackets, as '<pad>'",
    ),
    "special tokens in one string": (
        lambda: BPETokenizer.train("abc", 300, "<pad>"),
        "special_tokens='<pad>' is no list of tokens",
    ),
    "special token twice": (
        lambda: BPETokenizer.train("abc", 300, ["<pad>", "<pad>"]),
        "names a token twice",
    ),
    "train on bytes": (lambda: BPETokenizer.train(b"abc", 300), "bytes b'abc' is no text"),
    "train on a number": (lambda: BPETokenizer.train([1], 300), "int 1 is no text; give a string"),
    "half a character in pieces": (
        lambda: pieces.encode("a\ud800"),
        "'\\ud800' at position 1 is half a character",
    ),
    "piece outside": (
        lambda: pieces.decode([258]),
        "token id 258 is outside the vocabulary of 258; use 0 to 257",
    ),
    "vocabulary without bytes": (
        lambda: BPETokenizer(characters.vocabulary, []),
        "the vocabulary lacks 253 of the 256 bytes, 'Ā' first",
    ),
    "merges of another vocabulary": (
        lambda: BPETokenizer(pieces.vocabulary, [("x", "y")]),
        "merge 0, ('x', 'y'), needs 'xy', which the vocabulary lacks",
    ),
    "merge of three": (
        lambda: BPETokenizer(pieces.vocabulary, [("a", "b", "c")]),
        "merge 0 is ('a', 'b', 'c'); a merge is a pair of tokens",
    ),
    "no tokenizer in the folder": (
        lambda: BPETokenizer.load("nowhere"),
        "nowhere holds no vocab.json; give a folder with vocab.json and merges.txt",
    ),
    "one text to split": (
        lambda: split_texts(["a", "a"]),
        "1 different text cannot be split; give 2 or more",
    ),
    "copies to split": (
        lambda: split_texts(["a b c d e f g h i j", "a b c d e f g h i k"]),
        "no group of near-copies among 2 texts is as small as 1",
    ),
    "order of nothing": (lambda: NGram(0, 9), "order=0 is too small; use 1 or more"),
    "vocabulary of half": (lambda: NGram(2, 9.5), "vocab_size=9.5 is no whole number"),
    "n-gram of an id outside": (
        lambda: NGram(2, 9).fit([[1, 9]]),
        "token id 9 is outside the vocabulary of 9; use 0 to 8",
    ),
    "n-gram of words": (lambda: NGram(2, 9).fit(["ab"]), "ids='ab' cannot be read"),
    "n-gram of a flat list": (lambda: NGram(2, 9).fit([1, 2]), "ids=1 cannot be read; give a flat"),
    "n-gram of a number": (lambda: NGram(2, 9).fit(3), "sequences=3 are no sequences of ids"),
    "n-gram of single tokens": (lambda: NGram(2, 9).fit([[1], [2]]), "no sequence has two tokens"),
    "n-gram before fit": (
        lambda: NGram(2, 9).loss([[1, 2]]),
        "the model has counted nothing yet; call fit first",
    ),
    "day before the calendar": (
        lambda: forms(date(1872, 12, 31), "iso"),
        "day=1872-12-31 is outside the days that are written here; use 1873-01-01 to 2100-12-31 "
        "(the nearest is 1873-01-01)",
    ),
    "day too late": (
        lambda: write(date(2101, 1, 1), "iso", random.Random(0)),
        "(the nearest is 2100-12-31)",
    ),
    "day in words": (lambda: forms("2024-03-05", "iso"), "day='2024-03-05' is no calendar day"),
    "day with an hour": (lambda: forms(datetime(2024, 3, 5), "iso"), "is no calendar day; give a"),
    "style": (
        lambda: forms(date(2024, 3, 5), "ja eras"),
        "style='ja eras' is unknown; use one of en gb, en us, ",
    ),
    "nearest style": (
        lambda: write(date(2024, 3, 5), "ja eras", random.Random(0)),
        "(the nearest is 'ja era')",
    ),
    "style in a list": (lambda: forms(date(2024, 3, 5), ["iso"]), "style=['iso'] is unknown"),
    "two readings": (
        lambda: forms(date(2024, 3, 5), "day first"),
        "day=2024-03-05 has two readings when written as 'day first', since 5 and 3 can both be a month; "
        "use a day after the 12th (the nearest is 2024-03-13), or the style 'iso'",
    ),
    "random without a generator": (
        lambda: write(date(2024, 3, 5), "iso", 0),
        "rng=0 cannot draw; give a random.Random, such as random.Random(0)",
    ),
    "normalize a day": (lambda: normalize(date(2024, 3, 5)), "is no text; give a string"),
    "seed of a split": (lambda: split("0"), "seed='0' is no whole number; use one such as 0"),
    "no era of a text": (
        lambda: era_years("2024"),
        "day='2024' is no calendar day; give a datetime",
    ),
    "no kanji of zero": (lambda: kanji_number(0), "number=0 is not written here; use 1 to 9999"),
    "no kanji of a float": (
        lambda: kanji_digits(1.5),
        "number=1.5 is not written here; use 0 or more",
    ),
    "a use_cache that is neither": (
        lambda: greedy(model, [[4]], use_cache="no"),
        "use_cache='no' is no yes or no; use True or False",
    ),
    "a seed for a generator": (
        lambda: sample(model, [[4]], generator=5),
        "generator=5 draws no numbers; give a torch.Generator, or None for torch's own",
    ),
    "a list of scores": (
        lambda: next_token_probabilities([1.0, 2.0]),
        "logits=[1.0, 2.0] are no scores; give a float tensor of shape (..., vocabulary)",
    ),
    "a temperature that no float holds": (
        lambda: next_token_probabilities(torch.zeros(2), temperature=10**400),
        "shapes no distribution; use a number above 0",
    ),
    "a batch with a tensor too many": (
        lambda: batch_loss(model, (ids, ids, ids)),
        "a batch of 3 tensors does not fit Transformer, whose forward takes (source_ids, target_ids); "
        "give (source ids, target ids) to a Transformer",
    ),
    "a batch without a source": (
        lambda: batch_loss(model, (ids,)),
        "a batch of 1 tensors does not fit",
    ),
    "nothing to train": (
        lambda: train(nn.ReLU(), [(ids,)], 1),
        "ReLU has no weights to train; set requires_grad to True for those that are to change",
    ),
    "batches in a dict": (
        lambda: train(language_model, {0: (ids,)}, 2),
        "1 batches are too few for steps=2; give one for each step, or steps=1",
    ),
    "one text as all texts": (
        lambda: split_texts("text"),
        "texts of type str are none; give a list",
    ),
    "no seed to split by": (lambda: split_texts(["a", "b"], None), "seed=None is no whole number"),
    "no folder of merges": (
        lambda: BPETokenizer.load(None),
        "folder=None is no path; give a string or a pathlib.Path",
    ),
    "no merges": (
        lambda: BPETokenizer(pieces.vocabulary, 5),
        "merges=5 are none; give a list of pairs of tokens",
    ),
    "no parts to fold": (
        lambda: fold_layers(5),
        "parts=5 is no list of parts; give what summarize",
    ),
    "no days": (lambda: date_batches([]), "days=[] holds no day to draw"),
    "one day": (
        lambda: date_batches(date(2024, 3, 5)),
        "days=datetime.date(2024, 3, 5) is no list of days; give dates, such as split().train",
    ),
    "days in words": (lambda: date_batches(["2024-03-05"]), "day='2024-03-05' is no calendar day"),
    "no styles": (lambda: date_batches(styles=[]), "styles=[] holds no style to draw; use some of"),
    "one style": (
        lambda: date_batches(styles="iso"),
        "styles='iso' is no list of names; give some of en gb, en us, ",
    ),
    "style without a day": (
        lambda: date_batches(styles=["iso", "day first"]),
        "style='day first' would write every one of the days with two readings",
    ),
    "empty batch": (lambda: date_batches(batch_size=0), "batch_size=0 is too small; use 1 or more"),
    "slips": (lambda: date_batches(slips=2), "slips=2 is no share; use 0 (none) to 1 (every text)"),
    "step before the first": (lambda: date_batches()[-1], "step=-1 is too small; use 0 or more"),
    "steps": (lambda: date_batches()[:3], "step=slice(None, 3, None) is no whole number"),
    "tokenizer of a name": (
        lambda: DateBatches([date(2024, 3, 5)], "characters", target_tokenizer(), 2, 0),
        "source_tokenizer='characters' is no tokenizer; give source_tokenizer()",
    ),
    "tokenizer that cannot read dates": (
        lambda: DateBatches([date(2024, 3, 5)], source_tokenizer(), characters, 2, 0),
        "target_tokenizer lacks '0' and 10 other characters; give target_tokenizer()",
    ),
}

ACCEPTED = {
    "sizes": lambda: MultiHeadAttention(np.int64(8), np.int32(2), np.float32(0.1))(x)[0],
    "mask": lambda: causal_mask(np.int64(3)),
    "pad": lambda: padding_mask(ids, np.int64(0)),
    "table": lambda: sinusoidal(np.int64(3), np.int64(8), np.float64(100.0)),
    "learned": lambda: LearnedPositions(np.int64(6), np.int64(4))(np.int64(2), np.int64(1)),
    "alibi": lambda: alibi_bias(np.int64(3), np.int64(2), np.int64(2)),
    "config": lambda: Transformer(config(d_model=np.int64(8), pad_id=np.int64(0)))(ids, ids),
    "training": lambda: train(
        nn.Sequential(nn.Embedding(9, 8)),
        [(ids,)] * 2,
        np.int64(2),
        learning_rate=np.float32(0.1),
        warmup=np.int64(1),
        clip=np.float32(1),
    ),
    "ids in an array": lambda: characters.decode(np.array([4, 5])),
    "ids of two kinds": lambda: characters.decode([np.int64(4), torch.tensor(5)]),
}


@pytest.mark.parametrize("call", ACCEPTED.values(), ids=ACCEPTED)
def test_numbers_of_numpy_serve_as_those_of_python(call):
    assert call() is not None


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.parametrize(("call", "sentence"), SENTENCES.values(), ids=SENTENCES)
def test_a_wrong_argument_is_answered_by_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        call()
