"""Wrong arguments: each says what was given, what is allowed, and the nearest valid value."""

import math
import re

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
from lesson_tf.decoding import beam_search, greedy, next_token_probabilities, sample
from lesson_tf.positional_encoding import LearnedPositions, alibi_bias, rotary, sinusoidal
from lesson_tf.tokenization import CharTokenizer, Tokenizer, WordTokenizer, split_words
from lesson_tf.torch_weights import copy_torch_weights
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
    "digits for ids": (lambda: characters.decode("45"), "ids='45' cannot be decoded"),
    "one id": (lambda: characters.decode(4), "ids=4 cannot be decoded; give a flat list"),
    "ids with fractions": (lambda: characters.decode([4.7]), "4.7 is no token id"),
    "tensor with fractions": (lambda: characters.decode(torch.tensor([4.7])), "is no token id"),
    "ids of a batch": (lambda: characters.decode(ids), "[1, 1, 1, 1, 1] is no token id"),
    "vocabulary is a list": (lambda: Tokenizer(["a"]), "vocabulary=['a'] is no vocabulary"),
    "vocabulary of words": (
        lambda: CharTokenizer({**characters.vocabulary, "a": "0"}),
        "must be 0 to 6, each once",
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
