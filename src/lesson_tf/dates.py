"""The task of the translator: a day as people write it, in English or Japanese, becomes ISO 8601."""

import random
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from itertools import accumulate
from numbers import Integral, Real

import torch
from jaxtyping import Int
from torch import Tensor

from lesson_tf.date_styles import (
    FIRST_DAY,
    LAST_DAY,
    STYLES,
    Style,
    check_day,
    draw_form,
    find_style,
    forms,
    write,
)
from lesson_tf.japanese_years import era_years, years_of_eras
from lesson_tf.tokenization import CharTokenizer
from lesson_tf.vocabulary import check_text, describe

__all__ = [
    "ALIKE",
    "FIRST_DAY",
    "LAST_DAY",
    "QUOTES",
    "SOURCE_CHARACTERS",
    "STYLES",
    "TARGET_CHARACTERS",
    "DateBatches",
    "Split",
    "Style",
    "era_years",
    "forms",
    "normalize",
    "source_tokenizer",
    "split",
    "target_tokenizer",
    "write",
]

# Every character that a normalized form can hold, and no other.
SOURCE_CHARACTERS = (
    "0123456789 ,./-_()"
    "ABCDEFGHIJLMNOPRSTUVWXY"
    "abcdefghijlmnoprstuvwxy"
    "〇一二三四五六七八九十百千元年月日火水木金土曜西暦明治大正昭和平成令"
)
TARGET_CHARACTERS = "0123456789-"
STEPS_SORTED = 4  # more would leave a batch with one style
RARE_YEARS = 0.05  # share of texts in the first and last years of eras: 昭和元年 has seven days

# NFKC leaves these as they are, though people write them for one another.
ALIKE = {
    **dict.fromkeys("‐‑‒–—―−⁃ー", "-"),
    **dict.fromkeys("⁄∕╱", "/"),
    **dict.fromkeys("。·・", "."),
    **dict.fromkeys("、", ","),
    **dict.fromkeys("[{【〔", "("),
    **dict.fromkeys("]}】〕", ")"),
    **dict.fromkeys("○◯零", "〇"),
    **dict(zip("壱弐参拾", "一二三十", strict=True)),
    **dict(zip("ōŌ", "oO", strict=True)),
    **dict.fromkeys("\ufe0e\ufe0f", ""),  # variation selectors
}
_ALIKE = str.maketrans(ALIKE)
# They say where a text begins and ends, and are no part of it.
QUOTES = "\"'`´“”„‟‘’‚‛«»‹›「」『』〝〞〟"
_SIGNS = ("", "", " ", ", ", "-", ".")
_REPLACED = re.compile(r"(?<!\d)[ ,.]|[ ,.](?!\d)")
_PARTED = re.compile(r"(?<=\d)(?=[^\d ])|(?<=[^\d ])(?=\d)")


@dataclass(frozen=True)
class Split:
    """Days to train on, to choose a model by, and to test with; no day is in two of them."""

    train: list[date]
    validation: list[date]
    test: list[date]


def normalize(text: str) -> str:
    """Unify signs that mean the same: full and half width, era signs, dashes, slashes, brackets and spaces.

    Quotation marks around the text are left out.

    Unicode's NFKC does most; signs without width vanish, and runs of white space become one space.
    Letters keep their case, which the model learns.

    Raises ValueError for what is no text.

    Source: Unicode Standard Annex 15 (NFKC).

    >>> normalize("　㋿６年３月５日（火） "), normalize("5–Mar—2024")
    ('令和6年3月5日(火)', '5-Mar-2024')
    """
    check_text(text)
    text = unicodedata.normalize("NFKC", text).translate(_ALIKE)
    if not text.isprintable():
        text = "".join(
            c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf")
        )
    return " ".join(text.split()).strip(QUOTES + " ")


@cache
def _shuffled_days(seed: int) -> tuple[date, ...]:
    days = [FIRST_DAY + timedelta(n) for n in range((LAST_DAY - FIRST_DAY).days + 1)]
    random.Random(seed).shuffle(days)
    return tuple(days)


def split(seed: int = 0) -> Split:
    """Divide all days from FIRST_DAY to LAST_DAY: 80 % to train, 10 % to validate, 10 % to test, each in order.

    A form has one reading, so a text of a test day is a text of no other day.

    Raises ValueError where the seed is no whole number.

    >>> [len(days) for days in (split().train, split().validation, split().test)]
    [66621, 8327, 8327]
    """
    _check_whole("seed", seed, least=None)
    days = _shuffled_days(int(seed))
    tenth = len(days) // 10
    return Split(sorted(days[2 * tenth :]), sorted(days[:tenth]), sorted(days[tenth : 2 * tenth]))


def source_tokenizer() -> CharTokenizer:
    """Make the tokenizer of what people write: the special tokens, then SOURCE_CHARACTERS.

    >>> source_tokenizer().encode("5.3")
    [9, 16, 7]
    """
    return CharTokenizer.train(SOURCE_CHARACTERS)


def target_tokenizer() -> CharTokenizer:
    """Make the tokenizer of ISO 8601: the special tokens, then the digits and the hyphen.

    >>> len(target_tokenizer())
    15
    """
    return CharTokenizer.train(TARGET_CHARACTERS)


class DateBatches:
    """Batches of written days and their ISO forms: batch `step` depends on `seed` and `step` alone.

    Styles are drawn by their weights, among those that can write the day. A share of the texts, `slips`, has one
    space or sign missing, changed or too many, since people write so. First and last years of eras, which may have
    seven days, come more often than their days would. Targets are <bos> … <eos>. Texts of like
    lengths share a batch, among those of four steps, so that little of it is padding.

    Raises ValueError where there is no day or style to draw, a tokenizer lacks a character, or a step is below 0.

    >>> batches = DateBatches(split().train, source_tokenizer(), target_tokenizer(), batch_size=2, seed=0)
    >>> source_ids, target_ids = batches[0]
    >>> text, iso = batches.pairs(0)[0]
    >>> target_tokenizer().decode(target_ids[0]) == iso, target_ids.shape
    (True, torch.Size([2, 12]))
    """

    def __init__(
        self,
        days: Sequence[date],
        source_tokenizer: CharTokenizer,
        target_tokenizer: CharTokenizer,
        batch_size: int,
        seed: int,
        styles: Iterable[str] | None = None,
        slips: float = 0.1,
    ):
        self.days = _listed_days(days)
        self.styles = _listed_styles(styles, self.days)
        _check_tokenizer("source_tokenizer", source_tokenizer, SOURCE_CHARACTERS)
        _check_tokenizer("target_tokenizer", target_tokenizer, TARGET_CHARACTERS)
        _check_whole("batch_size", batch_size, least=1)
        _check_whole("seed", seed, least=None)
        _check_slips(slips)
        self.source_tokenizer, self.target_tokenizer = source_tokenizer, target_tokenizer
        self.batch_size, self.seed, self.slips = int(batch_size), int(seed), slips
        self._shares = list(accumulate(style.weight for style in self.styles))
        self._era_styles = [style for style in self.styles if style.has_era]
        self._rare = _years_of_change(self.days) if self._era_styles else []
        self._drawn: tuple[int, list[list[tuple[str, str]]]] = (-1, [])

    def __getitem__(
        self, step: int
    ) -> tuple[Int[Tensor, "batch source"], Int[Tensor, "batch target"]]:
        """Make the batch of a step: source ids and target ids, padded at their ends."""
        pairs = self.pairs(step)
        sources = [self.source_tokenizer.encode(text) for text, _ in pairs]
        return _padded(sources, self.source_tokenizer.pad_id), self._targets(pairs)

    def pairs(self, step: int) -> list[tuple[str, str]]:
        """Give the texts of a step: what was written, normalized, and the ISO form."""
        _check_whole("step", step, least=0)
        group, place = divmod(int(step), STEPS_SORTED)
        if self._drawn[0] != group:
            self._drawn = group, self._draw(group)
        return self._drawn[1][place]

    def _draw(self, group: int) -> list[list[tuple[str, str]]]:
        """Draw the texts of several steps, and share them out by length, in no order of length."""
        rng = random.Random(f"{self.seed} {group}")
        pairs = [self._pair(rng) for _ in range(STEPS_SORTED * self.batch_size)]
        pairs.sort(key=lambda pair: len(pair[0]))
        steps = [pairs[i : i + self.batch_size] for i in range(0, len(pairs), self.batch_size)]
        rng.shuffle(steps)
        return steps

    def _pair(self, rng: random.Random) -> tuple[str, str]:
        if self._rare and rng.random() < RARE_YEARS:
            day = rng.choice(rng.choice(self._rare))
            weights = [style.weight for style in self._era_styles]
            style = rng.choices(self._era_styles, weights)[0]
        else:
            day, style = self._day_and_style(rng)
        text = normalize(draw_form(day, style, rng))
        return (_slip(text, rng) if rng.random() < self.slips else text), day.isoformat()

    def _day_and_style(self, rng: random.Random) -> tuple[date, Style]:
        while True:
            day = rng.choice(self.days)
            style = rng.choices(self.styles, cum_weights=self._shares)[0]
            if style.fits(day):
                return day, style

    def _targets(self, pairs: list[tuple[str, str]]) -> Int[Tensor, "batch target"]:
        tokenizer = self.target_tokenizer
        rows = [[tokenizer.bos_id, *tokenizer.encode(iso), tokenizer.eos_id] for _, iso in pairs]
        return _padded(rows, tokenizer.pad_id)


def _years_of_change(days: list[date]) -> list[list[date]]:
    """Group the days of each first and last year of an era: years that are short, and easily taken for others."""
    found: dict[tuple[str, int], list[date]] = {}
    for day in days:
        for era, year in years_of_eras(day):
            last = era.last_day.year - era.first_day.year + 1
            if year == 1 or (year == last and era.last_day < LAST_DAY):
                found.setdefault((era.name, year), []).append(day)
    return list(found.values())


def _slip(text: str, rng: random.Random) -> str:
    """Put another sign, or none, for one beside a letter, or a space between a digit and a letter.

    Signs between two digits stay: 5.3 must not become 53.
    """
    places = [*_REPLACED.finditer(text), *_PARTED.finditer(text)]
    if not places:
        return text
    place = rng.choice(places)
    sign = rng.choice(_SIGNS) if place.group() else " "
    return normalize(text[: place.start()] + sign + text[place.end() :])


def _padded(rows: list[list[int]], pad_id: int) -> Int[Tensor, "batch length"]:
    longest = max(map(len, rows))
    return torch.tensor([row + [pad_id] * (longest - len(row)) for row in rows])


def _check_whole(name: str, value, least: int | None) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(
            f"{name}={describe(value)} is no whole number; use one such as {least or 0}"
        )
    if least is not None and value < least:
        raise ValueError(f"{name}={describe(value)} is too small; use {least} or more")


def _listed_days(days) -> list[date]:
    if isinstance(days, str) or not isinstance(days, Iterable):
        raise ValueError(
            f"days={describe(days)} is no list of days; give dates, such as split().train"
        )
    days = list(days)
    if not days:
        raise ValueError("days=[] holds no day to draw; give dates, such as split().train")
    for day in days:
        check_day(day)
    return days


def _listed_styles(names, days: list[date]) -> list[Style]:
    """Look the styles up; without names, take all that can write one of the days."""
    if names is None:
        return [style for style in STYLES.values() if any(map(style.fits, days))]
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ValueError(
            f"styles={describe(names)} is no list of names; give some of {', '.join(STYLES)}"
        )
    styles = [find_style(name) for name in names]
    if not styles:
        raise ValueError(f"styles=[] holds no style to draw; use some of {', '.join(STYLES)}")
    for style in styles:
        if not any(map(style.fits, days)):
            raise ValueError(
                f"style={style.name!r} would write every one of the days with two readings; "
                "add a day after the 12th of its month, or leave this style out"
            )
    return styles


def _check_tokenizer(name: str, tokenizer, characters: str) -> None:
    if not isinstance(tokenizer, CharTokenizer):
        raise ValueError(f"{name}={describe(tokenizer)} is no tokenizer; give {name}()")
    lacking = [c for c in characters if c not in tokenizer.vocabulary]
    if lacking:
        others = f" and {len(lacking) - 1} other characters" if len(lacking) > 1 else ""
        raise ValueError(f"{name} lacks {lacking[0]!r}{others}; give {name}()")


def _check_slips(slips) -> None:
    number = isinstance(slips, Real) and not isinstance(slips, bool)
    if not number or not 0 <= slips <= 1:
        raise ValueError(f"slips={describe(slips)} is no share; use 0 (none) to 1 (every text)")
