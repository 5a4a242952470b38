"""The explorer of heads: where the heads of trained translators look, for any width and number."""

from functools import cache

import torch
from torch import Tensor

from lesson_tf import family, translator
from lesson_tf.attention import _check_heads, causal_mask
from lesson_tf.explore.controls import Choice, Slider, Text
from lesson_tf.explore.explorer import Explorer, Prediction, State
from lesson_tf.explore.words import words_for

SHIPPED = ("令和6年3月5日", "March 5, 2024")
TRANSLATOR = {"d_model": 64, "heads": 4}


def heads(
    text: str = SHIPPED[0],
    d_model: int = 64,
    heads: int = 4,
    attention: str = "encoder",
) -> Explorer:
    """Explore where the heads of trained translators look, with their accuracy beside it.

    `d_model` and `heads` name a member of the family of trained translators, `attention` is
    encoder, decoder or cross, in the last layer. A text of your own is read by the translator that
    ships (d_model 64, 4 heads). Raises `ValueError` for other values, where `heads` does not divide
    `d_model`, and for a text that the translator cannot read.

    >>> heads(heads=2)
    Explorer heads: text=令和6年3月5日, d_model=64, heads=2, attention=encoder
    >>> heads(heads=8).state().sentence[:29]
    '242,176 parameters, d_k = 8; '
    """
    controls = (
        Text("text", SHIPPED[0], SHIPPED),
        Slider("d_model", 64, low=8, high=64, step=8, stops=family.WIDTHS),
        Slider("heads", 4, low=1, high=8, stops=tuple(range(1, 9))),
        Choice("attention", "encoder", stops=family.KINDS),
    )
    explorer = Explorer(
        "heads",
        _heads,
        controls,
        "head_heatmaps",
        height=5.6,
        prediction=_prediction(),
        engine="heads",
    )
    return explorer.at(text=text, d_model=d_model, heads=heads, attention=attention)


def _heads(text: str, d_model: int, heads: int, attention: str) -> State:
    _check_heads(d_model, heads)
    words = words_for("head_heatmaps", "heads")
    looked = _attention(text, d_model, heads, words["translator_only"])
    weights = getattr(looked, attention)[-1]
    queries, keys = _sides(looked, attention)
    template = words["shipped" if text in SHIPPED else "own"]
    sentence = template.format(
        d_k=d_model // heads,
        **_measured(d_model, heads),
        **_strongest(weights, queries, keys, attention == "encoder"),
    )
    arguments = {"weights": weights, "queries": queries, "keys": keys, "annotate": True}
    if attention == "decoder":
        arguments["mask"] = causal_mask(len(queries))
    return State(arguments, sentence)


def _attention(text: str, d_model: int, heads: int, refusal: str) -> family.MemberAttention:
    if text in SHIPPED:
        return family.load().attention(d_model, heads, text)
    if {"d_model": d_model, "heads": heads} != TRANSLATOR:
        raise ValueError(refusal)
    return _read(text)


@cache
def _translator() -> translator.Translator:
    return translator.load()


def _read(text: str) -> family.MemberAttention:
    seen = _translator().translate(text)
    return family.MemberAttention(
        seen.source_tokens,
        seen.target_tokens,
        seen.encoder_attention,
        seen.decoder_attention,
        seen.cross_attention,
    )


def _sides(looked: family.MemberAttention, attention: str) -> tuple[list[str], list[str]]:
    """Name the tokens that ask and those that answer; what the decoder reads begins with <bos>."""
    source, target = looked.source_tokens, looked.target_tokens
    if attention == "encoder":
        return source, source
    return target, source if attention == "cross" else ["<bos>", *target[:-1]]


def _measured(d_model: int, heads: int) -> dict[str, str]:
    members = family.load()
    return {
        "parameters": f"{members.parameters(d_model, heads):,}",
        "share": f"{100 * members.exact_match(d_model, heads):.1f}",
    }


def _strongest(weights: Tensor, queries: list[str], keys: list[str], to_itself: bool) -> dict:
    """Find the largest weight; where tokens may read themselves, of those on another token."""
    others = weights
    if to_itself and len(keys) > 1:
        others = weights.masked_fill(torch.eye(len(keys), dtype=torch.bool), 0.0)
    head, query, key = (int(index) for index in torch.unravel_index(others.argmax(), others.shape))
    weight = f"{weights[head, query, key]:.2f}"
    return {"head": head + 1, "query": queries[query], "key": keys[key], "weight": weight}


def _prediction() -> Prediction:
    """Ask what more heads cost; the answer is counted."""
    words = words_for("head_heatmaps", "heads")
    few, many = (family.load().parameters(64, number) for number in (4, 8))
    right = "fewer" if many < few else "more" if many > few else "same"
    return Prediction(
        question=words["question"],
        choices=(words["fewer"], words["same"], words["more"]),
        right=words[right],
        because=words["because"].format(few=f"{few:,}", many=f"{many:,}"),
        moves={"text": SHIPPED[0], "d_model": 64, "heads": 8},
    )
