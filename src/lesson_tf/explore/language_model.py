"""The explorer of the language model: what may come next, and what narrows the choice."""

from functools import cache, lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from lesson_tf import language_model
from lesson_tf.decoding import next_token_probabilities
from lesson_tf.explore.byte_pairs import show_spaces
from lesson_tf.explore.controls import Slider, Text
from lesson_tf.explore.explorer import Explorer, Prediction, State
from lesson_tf.explore.words import ENGINES

PROMPTS = ("Returns a new tensor with the", "input (Tensor): the input", "If")
LONGEST = 400
VOCABULARY = 1024
SHOWN = 10


def next_token(
    prompt: str = PROMPTS[0],
    temperature: int | float = 1.0,
    top_k: int = VOCABULARY,
    top_p: int | float = 0.5,
) -> Explorer:
    """Explore what temperature, top-k and top-p make of the language model's next token.

    `prompt` has up to 400 characters, `temperature` is 0.2 to 2.0, `top_k` 1 to 1024 (all tokens),
    `top_p` 0.05 to 1.0. Raises `ValueError` for other values.

    >>> next_token(top_p=1.0).state(temperature=1.0).sentence[:54]
    'All 1,024 tokens remain, as the model gave them. First'
    """
    controls = (
        Text("prompt", PROMPTS[0], stops=PROMPTS, longest=LONGEST),
        Slider(
            "temperature", 1.0, low=0.2, high=2.0, step=0.05, stops=(0.25, 0.5, 0.7, 1.0, 1.4, 2.0)
        ),
        Slider(
            "top_k",
            VOCABULARY,
            low=1,
            high=VOCABULARY,
            stops=(1, 2, 5, 10, 50, VOCABULARY),
            logarithmic=True,
        ),
        Slider("top_p", 0.5, low=0.05, high=1.0, step=0.05, stops=(0.5, 0.8, 0.9, 0.95, 1.0)),
    )
    explorer = Explorer(
        "next_token",
        _next_token,
        controls,
        "next_token_shaping",
        height=4.7,
        prediction=_prediction(),
        engine="next_token",
    )
    return explorer.at(prompt=prompt, temperature=temperature, top_k=top_k, top_p=top_p)


def _next_token(prompt: str, temperature: int | float, top_k: int, top_p: int | float) -> State:
    logits = _logits(prompt)
    before = next_token_probabilities(logits)
    after = _shaped(prompt, temperature, top_k, top_p)
    # Whatever shapes the distribution, no token overtakes another.
    ranking = logits.argsort(descending=True, stable=True)[:SHOWN]
    kept = _kept(after, top_k, top_p)
    names = [show_spaces(_writer().name(i)) for i in ranking.tolist()]
    arguments = {
        "tokens": names,
        "before": _with_others(before, ranking),
        "after": _with_others(after, ranking),
        "kept": kept,
        "vocabulary": len(logits),
    }
    words = ENGINES["next_token"]
    numbers = {
        "kept": f"{kept:,}",
        "vocabulary": f"{len(logits):,}",
        "token": names[0],
        "before": percent(before.max().item()),
        "after": percent(after.max().item()),
        "entropy_before": f"{_entropy(before):.2f}",
        "entropy_after": f"{_entropy(after):.2f}",
    }
    plain = kept == len(logits) and temperature == 1
    kind = "one" if kept == 1 else "plain" if plain else "shaped"
    # Rounded twice, a number on the page could differ from the one in the picture.
    page = {name: arguments[name].double().round(decimals=3) for name in ("before", "after")}
    return State(arguments, words[kind].format(**numbers), page)


def _prediction() -> Prediction:
    """Ask what becomes of the cut at a higher temperature: the temperature is applied first."""
    words = ENGINES["next_token"]
    now, hotter = (
        _kept(_shaped(PROMPTS[0], temperature, VOCABULARY, 0.5), VOCABULARY, 0.5)
        for temperature in (1.0, 2.0)
    )
    choices = tuple(words[name].format(now=now) for name in ("fewer", "same", "more"))
    return Prediction(
        words["question"].format(now=now),
        choices,
        choices[1 + (hotter > now) - (hotter < now)],
        words["because"].format(hotter=hotter),
        {"prompt": PROMPTS[0], "temperature": 2.0, "top_k": VOCABULARY, "top_p": 0.5},
    )


@cache
def _writer() -> language_model.Writer:
    return language_model.load()


@lru_cache(maxsize=64)
@torch.no_grad()
def _logits(prompt: str) -> Float[Tensor, "vocab"]:
    ids = torch.tensor([_writer().read(prompt)])
    return _writer().model.eval()(ids)[0, -1]


def _shaped(
    prompt: str, temperature: int | float, top_k: int, top_p: int | float
) -> Float[Tensor, "vocab"]:
    shaping = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    return next_token_probabilities(_logits(prompt), **shaping)


def _kept(after: Float[Tensor, "vocab"], top_k: int, top_p: int | float) -> int:
    # Where nothing is cut by its share, what is too improbable for a float is still not cut.
    return min(top_k, len(after)) if top_p == 1 else int((after > 0).sum())


def _with_others(probabilities: Float[Tensor, "vocab"], ranking: Tensor) -> Float[Tensor, "rows"]:
    shown = probabilities[ranking]
    return torch.cat([shown, (probabilities.sum() - shown.sum()).clamp(min=0)[None]])


def _entropy(probabilities: Float[Tensor, "vocab"]) -> float:
    return torch.special.entr(probabilities).sum().item()


def percent(probability: int | float) -> str:
    """Write a probability in percent, as the page does.

    >>> percent(0.1234), percent(0.0001)
    ('12.3', '< 0.1')
    """
    return "< 0.1" if probability < 0.0005 else f"{100 * probability:.1f}"
