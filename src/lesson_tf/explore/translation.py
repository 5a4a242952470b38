"""The explorer of decoding: the translator at work on one date, step by step."""

import re
from datetime import date as Date
from functools import lru_cache, partial

import torch
from torch import Tensor

from lesson_tf import translator
from lesson_tf.decoding import Hypothesis, beam_search, greedy, sample
from lesson_tf.explore.controls import Choice, Slider, Text
from lesson_tf.explore.explorer import Explorer, Prediction, State
from lesson_tf.explore.words import words_for
from lesson_tf.figures.arguments import visible
from lesson_tf.translator import Translation

NO_YEAR = "令和0年1月1日"
DATES = ("令和6年3月5日", "Tuesday, 5 March 2024", NO_YEAR, "February 30, 2023")
DECODINGS = ("greedy", "beam of 4", "temperature 1.5")
HEADS = ("mean", 1, 2, 3, 4)
STEPS = 11  # a date and its end
WORDS = words_for("translation", "translate")


def translate(
    date: str = DATES[0], decoding: str = "greedy", step: int = 7, head: str | int = "mean"
) -> Explorer:
    """Explore how the shipped translator writes a date: where each step looked, and how sure it was.

    `date` is any text of at most 64 characters that the translator can read, `decoding` greedy, beam
    of 4 or temperature 1.5, `step` 1 to 11, `head` one of the four of the last layer's
    cross-attention, or their mean. Raises `ValueError` for other values, and for a text that the
    translator cannot read.

    >>> translate(step=10)
    Explorer translate: date=令和6年3月5日, decoding=greedy, step=10, head=mean
    >>> translate(step=10).state().sentence[:45]
    'Step 10 writes 5 with probability 1.00 and re'
    """
    controls = (
        Text("date", DATES[0], DATES, longest=translator.LONGEST_SOURCE),
        Choice("decoding", "greedy", DECODINGS),
        Slider("step", 7, low=1, high=STEPS, stops=tuple(range(1, STEPS + 1)), play=True),
        Choice("head", "mean", HEADS),
    )
    explorer = Explorer(
        "translate",
        _translate,
        controls,
        "translation",
        height=5.8,
        # A reader who sees that date already has nothing to predict.
        prediction=None if date == NO_YEAR else _prediction(),
        engine="translate",
    )
    return explorer.at(date=date, decoding=decoding, step=step, head=head)


def _translate(date: str, decoding: str, step: int, head: str | int) -> State:
    seen = translated(date, decoding)
    weights = cross_attention(seen, head)
    place = min(step, len(weights)) - 1
    title = WORDS["mean"] if head == "mean" else WORDS["head"].format(head=head)
    arguments = {
        "weights": weights,
        "source_tokens": seen.source_tokens,
        "target_tokens": _named(seen.target_tokens),
        "probabilities": seen.probabilities,
        "vocabulary": _named(seen.vocabulary),
        "step": place,
        "title": title,
    }
    return State(arguments, _sentence(seen, weights[place], place, decoding))


@lru_cache(maxsize=64)
def translated(date: str, decoding: str) -> Translation:
    """Translate a date by one of the `DECODINGS`; chance is the same each time.

    Raises `ValueError` for a text that the translator cannot read.

    >>> translated("5 March 2024", "beam of 4").text
    '2024-03-05'
    """
    ways = dict(zip(DECODINGS, (greedy, _best_of_beam, _sampled()), strict=True))
    return _translator().translate(date, ways[decoding])


def cross_attention(seen: Translation, head: str | int) -> Tensor:
    """Give the last layer's weights, (target, source), of a head from 1 on or of their mean.

    >>> cross_attention(translated("5 March 2024", "greedy"), "mean").shape
    torch.Size([11, 12])
    """
    last = seen.cross_attention[-1]
    return last.mean(dim=0) if head == "mean" else last[head - 1]


@lru_cache
def _translator() -> translator.Translator:
    with torch.random.fork_rng(devices=[]):
        return translator.load()


def _best_of_beam(model, ids, **bounds) -> list[Hypothesis]:
    return [best_first[0] for best_first in beam_search(model, ids, width=4, **bounds)]


def _sampled():
    return partial(sample, temperature=1.5, generator=torch.Generator().manual_seed(0))


def _named(tokens: list[str]) -> list[str]:
    return [WORDS["end"] if token == "<eos>" else token for token in tokens]


def _sentence(seen: Translation, weights: Tensor, place: int, decoding: str) -> str:
    token, key = seen.target_tokens[place], int(weights.argmax())
    step = WORDS["stop" if token == "<eos>" else "step"].format(
        step=place + 1,
        token=token,
        chance=_share(seen.token_probabilities[place]),
        source=visible(seen.source_tokens[key]),
        weight=f"{weights[key]:.2f}",
    )
    return WORDS["whole" if is_day(seen.text) else "no_day"].format(
        step=step,
        decoding=decoding,
        text=seen.text or WORDS["nothing"],
        whole=_share(seen.probability),
    )


def _share(probability: float) -> str:
    """Write a probability; one that rounds to nothing is not nothing."""
    return WORDS["little"] if probability < 0.005 else f"{probability:.2f}"


def is_day(text: str) -> bool:
    """Tell whether a text is a day of the calendar, year, month and day.

    >>> is_day("2024-02-29"), is_day("2023-02-29"), is_day("2024-2-9")
    (True, False, False)
    """
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return False
    try:
        Date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _prediction() -> Prediction:
    """Ask what becomes of a year that never was; the model itself gives the answer."""
    seen = translated(NO_YEAR, "greedy")
    (first, likely), (second, less_likely) = seen.candidates(2, 2).items()
    because = WORDS["because"].format(
        first=first, likely=f"{likely:.2f}", second=second, less_likely=f"{less_likely:.2f}"
    )
    return Prediction(
        question=WORDS["question"],
        choices=(WORDS["refuses"], "2018-01-01", "2019-01-01"),
        right=seen.text,
        because=because,
        moves={"date": NO_YEAR, "decoding": "greedy", "step": 3},
    )
