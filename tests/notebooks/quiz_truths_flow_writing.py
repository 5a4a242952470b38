"""What is true of each choice in the quizzes on the language model and on decoding."""

from functools import cache

import torch
from quizzes import truth

from lesson_tf import language_model, translator
from lesson_tf.attention import causal_mask
from lesson_tf.corpus import split_texts, torch_documentation
from lesson_tf.decoding import beam_search, greedy, next_token_probabilities
from lesson_tf.training import sequence_loss
from lesson_tf.transformer import TransformerConfig
from lesson_tf.transformer_layers import DecoderLayer

torch.set_num_threads(1)  # small models gain nothing from more, and wait for it on a busy machine


@truth("flow/language_model", 1)
def zeros_say_one_thing_to_all() -> dict[str, bool]:
    """Give a decoder layer a memory of zeros."""
    torch.manual_seed(0)
    layer = DecoderLayer(TransformerConfig(9, 9, dropout=0.0))
    torch.nn.init.normal_(layer.cross_attention.w_v.bias)  # it begins as zeros, which say nothing
    x, memory = torch.randn(1, 6, 64, requires_grad=True), torch.zeros(1, 4, 64)
    said, _ = layer.cross_attention(x, memory)
    out = layer(x, memory, causal_mask(6))
    [gradient] = torch.autograd.grad(out[0, 2].square().sum(), x, retain_graph=True)
    out.square().sum().backward()
    learns = all(
        weight.grad is not None and weight.grad.any()
        for part in (layer.self_attention.w_v, layer.self_attention.w_o, layer.feed_forward)
        for weight in part.parameters()
    )
    return {
        "a": not learns,
        "b": bool(gradient[0, 3:].any()),
        "c": torch.allclose(said, said[:, :1].expand_as(said), atol=1e-6),
    }


@truth("flow/language_model", 2)
def nats_a_character_compare() -> dict[str, bool]:
    """Add up the losses of both models over one text of 1,200 characters."""
    a, b = 1200 / 4 * 3, 1200 / 2 * 2
    return {"a": a < b, "b": b < a, "c": a == b}


@cache
def pages() -> tuple[list[str], list[str]]:
    """Return the pages of torch's documentation: for training, and held out."""
    return split_texts(torch_documentation())


@truth("flow/language_model", 3)
def probability_is_a_frequency_of_texts() -> dict[str, bool]:
    """Count what follows such beginnings in training, and ask torch whether `out` exists.

    What the loss asks for is a definition; computed is that the frequency is high and the fact false.
    """
    writer = language_model.load()
    page = writer.continue_text("isreal(", max_new_tokens=40)
    start = page.tokens.index(" out")
    sure = min(page.token_probabilities[start : start + 8]) > 0.9
    beginning = "(input: Tensor, *, "
    firsts = [text.partition("\n")[0] for text in pages()[0]]
    follows = [beginning + "out: Optional[Tensor]" in each for each in firsts if beginning in each]
    frequent = sum(follows) / len(follows) > 0.75
    try:
        exists = bool(torch.isreal(torch.ones(1), out=torch.ones(1)).all())
    except TypeError:
        exists = False
    return {"a": sure and exists, "b": sure and frequent, "c": sure and not frequent}


@truth("flow/decoding", 1)
@torch.no_grad()
def a_low_temperature_knows_nothing_more() -> dict[str, bool]:
    """Follow right tokens, favourites and ranks on a held-out page from temperature 1 to 0.1."""
    writer = language_model.load()
    ids = torch.tensor(writer.sequence(pages()[1][0])[:65])
    logits = writer.model(ids[None, :-1])[0]
    usual, cold = (next_token_probabilities(logits, temperature) for temperature in (1.0, 0.1))
    favourite, right = logits.argmax(dim=-1), ids[1:]
    wrong = favourite != right
    assert 5 < wrong.sum() < 60
    places = torch.arange(len(right))
    order = logits.argsort(dim=-1, descending=True)
    return {
        "a": bool((cold[places, right] > usual[places, right])[wrong].all()),
        "b": bool((cold[places, favourite] >= usual[places, favourite]).all()),
        "c": bool((cold.gather(-1, order).diff(dim=-1) > 0).any()),
    }


def variety(texts: list[list[int]]) -> float:
    """Return the share of different runs of four tokens."""
    runs = [tuple(ids[i : i + 4]) for ids in texts for i in range(len(ids) - 3)]
    return len(set(runs)) / len(runs)


@truth("flow/decoding", 2)
def more_probable_texts_are_more_alike() -> dict[str, bool]:
    """Continue eight held-out pages, and translate fifty dates, greedily and with a beam of eight."""
    writer, dates = language_model.load(), translator.load()
    own = [ids for text in pages()[1] if len(ids := writer.sequence(text)) >= 128][:8]
    options = {"max_new_tokens": 64, "eos_id": None}

    def beam(model, ids, **options):
        return [best[0] for best in beam_search(model, ids, width=8, **options)]

    openings = [ids[:32] for ids in own]
    short, wide = (way(writer.model, openings, **options) for way in (greedy, beam))
    probable = [sum(text.log_probability for text in texts) for texts in (short, wide)]
    told = {"people": [ids[32:96] for ids in own]}
    told |= {"greedy": [t.token_ids for t in short], "beam": [t.token_ids for t in wide]}
    read = torch.tensor([ids[:96] for ids in own])
    loss = sequence_loss(writer.model(read[:, :-1])[:, 31:], read[:, 32:]).item()
    people = -loss * 64 * len(own)  # the log probability of what people wrote
    sources = [dates.read(example.text) for example in translator.held_out_examples(2)]
    written = [way(dates.model, sources, max_new_tokens=12) for way in (greedy, beam)]
    same_dates = [a.token_ids == b.token_ids for a, b in zip(*written, strict=True)]
    alike = variety(told["beam"]) < variety(told["greedy"]) < variety(told["people"])
    return {
        "a": probable[1] > probable[0] and alike and sum(same_dates) >= 49,
        "b": abs(probable[1] - people) < abs(probable[0] - people),
        "c": all(variety([ids]) < 1 for ids in told["beam"]),
    }


@truth("flow/decoding", 3)
@torch.no_grad()
def each_step_waits_for_the_last() -> dict[str, bool]:
    """Write with a cache; compare its size with the model's, and one pass with step by step."""
    model, start = language_model.load().model, [language_model.load().end_id]
    calls = []
    hook = model.register_forward_hook(lambda _, given, out: calls.append(given[0].tolist()))
    [text] = greedy(model, [start], max_new_tokens=64, eos_id=None)
    hook.remove()
    waits = [row for [row] in calls] == [start, *([i] for i in text.token_ids[:-1])]
    config = model.config
    cached = 2 * config.decoder_layers * 64 * config.d_model
    one_pass = model(torch.tensor([start + text.token_ids[:-1]]))[0].argmax(dim=-1).tolist()
    return {
        "a": cached > sum(weight.numel() for weight in model.parameters()) / 2,
        "b": one_pass != text.token_ids,
        "c": waits and len(calls) == 64,
    }
