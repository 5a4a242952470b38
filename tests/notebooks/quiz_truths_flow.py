"""What is true of each choice in the quizzes on the block, the model and its training."""

from dataclasses import replace
from datetime import date
from functools import partial

import torch
import torch.nn.functional as F
from quizzes import truth

from lesson_tf import inspection, translator
from lesson_tf.attention import MultiHeadAttention, causal_mask
from lesson_tf.dates import split, target_tokenizer
from lesson_tf.decoding import greedy
from lesson_tf.training import batch_loss, sequence_loss
from lesson_tf.transformer import EncoderLayer, Transformer, TransformerConfig
from lesson_tf.transformer_layers import FeedForward
from lesson_tf.translator import translator_config

torch.set_num_threads(1)  # small models gain nothing from more, and wait for it on a busy machine


def parameters(module: torch.nn.Module) -> int:
    """Count the parameters of a module."""
    return sum(weight.numel() for weight in module.parameters())


@truth("flow/the_block", 1)
@torch.no_grad()
def feed_forward_separates_nothing() -> dict[str, bool]:
    """Pass tokens through two untrained layers without residuals, at three widths of feed-forward."""

    def stays_apart(d_ff: int) -> bool:
        torch.manual_seed(0)
        x = torch.randn(16, 64)
        for _ in range(2):
            x = FeedForward(64, d_ff)(MultiHeadAttention(64, heads=4)(x)[0])
        return bool(F.cosine_similarity(x[:, None], x[None], dim=-1).min() < 0.95)

    usual, wide = stays_apart(256), stays_apart(4096)
    return {"a": usual and wide, "b": not usual and not wide, "c": wide and not usual}


@truth("flow/the_block", 2)
@torch.no_grad()
def pre_norm_forgets_a_length() -> dict[str, bool]:
    """Double one token before an attention sublayer; compare what is read and what is added."""
    torch.manual_seed(0)
    layer = EncoderLayer(TransformerConfig(2, 2, dropout=0.0, norm_first=True)).double().eval()
    part, x = layer.attention_residual, torch.randn(5, 64).double()
    louder = x.clone()
    louder[2] *= 2

    def read_and_added(x):
        added = part(x, lambda x: layer.self_attention(x)[0]) - x
        return part.norm(x)[2], added[2], added[2].norm() / x[2].norm()

    (read, added, share), (read_2, added_2, share_2) = map(read_and_added, (x, louder))
    same = partial(torch.allclose, rtol=1e-3, atol=1e-4)
    return {
        "a": same(read_2, 2 * read) and same(added_2, 2 * added),
        "b": same(read_2, read / 2),
        "c": same(read_2, read) and same(added_2, added) and same(share_2, share / 2),
    }


@truth("flow/the_block", 3)
def heads_cost_no_parameters() -> dict[str, bool]:
    """Count a layer with 8 and with 16 heads."""
    shares = []
    for heads in (8, 16):
        with torch.device("meta"):
            layer = EncoderLayer(TransformerConfig(2, 2, d_model=512, heads=heads, d_ff=2048))
        shares.append(parameters(layer.feed_forward) / parameters(layer))
    return {"a": shares[1] == shares[0], "b": shares[1] < shares[0], "c": shares[1] > shares[0]}


@truth("flow/the_model", 1)
def queries_are_rows() -> dict[str, bool]:
    """Record one cross-attention of an untrained translator."""
    model, record = Transformer(translator_config()), []
    source, target = torch.full((1, 24), 9), torch.full((1, 5), 9)
    model.decode(target, model.encode(source), source, record=record)
    shape = tuple(record[1].shape)
    return {
        "a": shape == (1, 4, 5, 24),
        "b": shape == (1, 4, 24, 5),
        "c": shape == (1, 4, 29, 29),
    }


@truth("flow/the_model", 2)
def the_encoder_runs_once() -> dict[str, bool]:
    """Count how often the encoder and the decoder are called while a date is written."""
    model, calls = translator.load().model, {"encoder": 0, "decoder": 0}

    def count(name, *_):
        calls[name] += 1

    hooks = [
        getattr(model, name).register_forward_hook(partial(count, name))
        for name in ("encoder", "decoder")
    ]
    greedy(model, [translator.load().read("5 March 2024")], max_new_tokens=12)
    for hook in hooks:
        hook.remove()
    ran = calls["encoder"]
    assert calls["decoder"] == 11
    return {"a": ran == 11, "b": ran == len(model.decoder.layers), "c": ran == 1}


@truth("flow/the_model", 3)
def two_embeddings_have_two_tables() -> dict[str, bool]:
    """Count the translator with learned positions and with those that it has."""
    usual, learned = translator_config(), replace(translator_config(), positions="learned")
    assert learned.max_length == 128
    added = parameters(Transformer(learned)) - parameters(Transformer(usual))
    return {"a": added == 0, "b": added == 8192, "c": added == 16384}


@truth("flow/training_objective", 1)
def training_reads_the_target() -> dict[str, bool]:
    """Look at what an untrained decoder, wrong at the 4 of the year, is given after it."""
    torch.manual_seed(0)
    model, alphabet, given = Transformer(translator_config()), target_tokenizer(), []
    target = torch.tensor([[alphabet.bos_id, *alphabet.encode("2024-03-05"), alphabet.eos_id]])
    source = torch.full((1, 12), 9)
    hook = model.target_embedding.register_forward_hook(lambda _, ids, out: given.append(ids[0]))
    batch_loss(model, (source, target))
    hook.remove()
    [read] = given[0]
    logits, exchanged = model(source, target[:, :-1]), target[:, :-1].clone()
    exchanged[0, 4] = alphabet.encode("7")[0]
    answer = logits[0, 3].argmax()  # asked for the fourth digit
    assert answer != target[0, 4]
    return {
        "a": bool(read[4] == answer),
        "b": bool(read[4] == target[0, 4]),
        "c": torch.allclose(model(source, exchanged)[0, 4], logits[0, 4]),  # nothing of it is read
    }


@truth("flow/training_objective", 2)
def more_tokens_raise_the_floor() -> dict[str, bool]:
    """Let torch take the smoothed loss of the best possible answer, over two vocabularies."""
    floors = []
    for vocab in (15, 50257):
        wish = torch.full((1, vocab), 0.1 / vocab, dtype=torch.float64)
        wish[0, 0] += 0.9
        floors.append(F.cross_entropy(wish.log(), torch.tensor([0]), label_smoothing=0.1).item())
    difference = floors[1] - floors[0]
    return {"a": difference > 0.01, "b": abs(difference) <= 0.01, "c": difference < -0.01}


@truth("flow/training_objective", 3)
def a_missing_mask_shows_the_answer() -> dict[str, bool]:
    """Compute how low padding and smoothing let a loss get, and whether a place sees its answer."""
    padding = torch.tensor([torch.log(torch.tensor(15.0)), 0.0]).mean()  # one guessed, one known
    smooth = torch.full((1, 15), 0.1 / 15)
    smooth[0, 0] += 0.9
    floor = F.cross_entropy(smooth.log(), torch.tensor([0]), label_smoothing=0.1)
    torch.manual_seed(0)
    layer = EncoderLayer(TransformerConfig(2, 2, dropout=0.0))
    x = torch.randn(1, 6, 64, requires_grad=True)

    def sees_next(mask) -> bool:
        [gradient] = torch.autograd.grad(layer(x, mask)[0, 2].square().sum(), x)
        return bool(gradient[0, 3].any())  # token 3 is the answer at place 2

    leak = sees_next(None) and not sees_next(causal_mask(6))
    return {"a": bool(padding < 0.001), "b": leak, "c": bool(floor < 0.001)}


@truth("flow/training_run", 1)
def one_hard_token_spoils_each_date() -> dict[str, bool]:
    """Make answers that are sure of ten tokens and wrong about one, for a hundred dates."""
    torch.manual_seed(0)
    target = torch.randint(4, 15, (100, 11))
    probabilities = torch.full((100, 11, 15), 0.01 / 14)
    probabilities.scatter_(-1, target[..., None], 0.99)
    probabilities[:, 9] = 0.5 / 13
    probabilities[:, 9].scatter_(-1, target[:, 9, None], 0.4)
    probabilities[:, 9, 0] = 0.5  # the favourite is another
    logits = probabilities.log().requires_grad_()
    loss, dates = sequence_loss(logits, target), (logits.argmax(-1) == target).all(-1)
    exact = dates.float().mean()
    small = bool(loss < 0.15)
    return {
        "a": small and bool(exact > 0.5),
        "b": exact.requires_grad,
        "c": small and bool(exact == 0),
    }


@truth("flow/training_run", 2)
@torch.no_grad()
def a_place_is_not_its_character() -> dict[str, bool]:
    """Exchange characters of a date that the shipped translator reads at another place."""
    dates, text = translator.load(), "Mar. 5, 2024"
    seen, falls = dates.translate(text), inspection.influence(dates, text)[6]
    assert seen.target_tokens[6] == "3" and seen.cross_attention[0].mean(0)[6].argmax() == 2
    memory = dates.model.encode(torch.tensor([dates.read(text)]))[0, 2]
    exchanged = dates.model.encode(torch.tensor([dates.read("J" + text[1:])]))[0, 2]
    mixed = (exchanged - memory).norm() > 0.1 * memory.norm()
    return {
        "a": bool(falls.argmax() == 2),
        "b": bool(mixed) and bool(falls[0] > falls[2]),
        "c": seen.text[5:7] != "03",
    }


@truth("flow/training_run", 3)
def sure_of_a_day_that_is_none() -> dict[str, bool]:
    """Ask for the 30th of eight months, February among them.

    That a probability speaks of texts like those of training is its definition; computed is that the
    translator copies any 30 and is sure of it, and that no training day and no calendar has this one.
    """
    answers = {}
    for month, name in enumerate(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug"), 1):
        answers[month] = translator.load().translate(f"{name} 30, 2024")
    copied = all(answer.text == f"2024-{m:02}-30" for m, answer in answers.items())
    sure = answers[2].probability > 0.99
    trained = any((day.month, day.day) == (2, 30) for day in split().train)
    try:
        exists = bool(date(2024, 2, 30))
    except ValueError:
        exists = False
    return {"a": copied and sure, "b": trained, "c": exists}
