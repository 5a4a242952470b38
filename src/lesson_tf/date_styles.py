"""How people write a day, in English, Japanese and numbers: patterns, and what is left out.

Babel fills a pattern in the notation of Unicode's CLDR: ``d MMMM y`` makes 5 March 2024, ``EEEE`` the
weekday, and text between quotes stays. Braces hold what babel lacks: ordinals and Japanese eras.

Left out is what has two readings. 05/03/2024 is a day in March in London and one in May in New York, and no
model can know which was meant, so all-number forms that begin with day or month are written only where one
of the two is over 12, or where both are equal. A year of two digits (05-03-24) has three readings.
"""

import difflib
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from itertools import product

from babel import Locale
from babel.dates import format_date

from lesson_tf.japanese_years import (
    in_kanji,
    in_kanji_as_read,
    in_kanji_digits,
    years_of_eras,
)
from lesson_tf.vocabulary import describe

# Japan counts days by the Gregorian calendar since 1873-01-01 (明治6年); before, 明治 dates were lunisolar.
FIRST_DAY, LAST_DAY = date(1873, 1, 1), date(2100, 12, 31)

_ORDINALS = (
    *(
        "first",
        "second",
        "third",
        "fourth",
        "fifth",
        "sixth",
        "seventh",
        "eighth",
        "ninth",
        "tenth",
    ),
    *("eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth"),
    *("eighteenth", "nineteenth", "twentieth", "twenty-first", "twenty-second", "twenty-third"),
    *("twenty-fourth", "twenty-fifth", "twenty-sixth", "twenty-seventh", "twenty-eighth"),
    *("twenty-ninth", "thirtieth", "thirty-first"),
)
_ENDINGS = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}
_WEEKDAYS = ("Mon", "Tues", "Weds", "Thurs", "Fri", "Sat", "Sun")  # beside CLDR's Tue, Wed, Thu
_FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


@dataclass(frozen=True)
class Style:
    """One manner of writing a day: every pattern, with every weekday, locale and spelling, is a form of it.

    `patterns` and `weekdays` are CLDR date patterns; a pattern takes the place of %s in `weekdays`, whose first
    has no weekday. The first spelling is the usual one. `weight` is the share in a batch, against 1 for others.

    >>> STYLES["ja era"].example, STYLES["ja era"].language
    ('令和6年3月5日', 'ja')
    """

    name: str
    language: str
    patterns: tuple[str, ...]
    weekdays: tuple[str, ...] = ("%s",)
    locales: tuple[str, ...] = ("en_US",)
    spellings: tuple[Callable[[str], str], ...] = (str,)
    fits: Callable[[date], bool] = lambda day: True
    weight: float = 1.0

    @property
    def has_era(self) -> bool:
        """Whether every pattern of the style names the era and its year."""
        fields = ("{era}", "{latin}", "{letter}", "{initial}", "{sign}")
        return all(any(field in pattern for field in fields) for pattern in self.patterns)

    @property
    def example(self) -> str:
        """The first form of 5 March 2024, or of the 13th, where the 5th cannot be written so."""
        day = next(day for day in (date(2024, 3, 5), date(2024, 3, 13)) if self.fits(day))
        return forms(day, self.name)[0]


def _has_one_reading(day: date) -> bool:
    """Tell whether day and month can be told apart as numbers, or need not be."""
    return day.day > 12 or day.day == day.month


def _full_width(text: str) -> str:
    return text.translate(_FULL_WIDTH)


_CASES = (str, str.lower, str.upper)
_ENGLISH_WEEKDAYS = (
    *("%s", "EEEE, %s", "EEEE %s", "EEE, %s", "EEE %s", "EEE. %s"),
    *("'{weekday}', %s", "'{weekday}' %s", "%s (EEE)", "%s (EEEE)", "%s, EEEE", "%s EEE"),
    *("'on' %s", "'on' EEEE, %s", "%s."),
)
_NUMBER_WEEKDAYS = ("%s", "EEE %s", "EEE, %s", "EEEE, %s", "%s (EEE)", "%s EEE", "%s.")
_JAPANESE_WEEKDAYS = (
    *("%s", "%s(E)", "%s（E）", "%s (E)", "%s(EEEE)", "%s（EEEE）", "%sEEEE", "%s EEEE"),
    *("%s(E曜)", "%sE曜", "%s E曜"),
)
_ABBREVIATIONS = ("en_US", "en_GB", "en_AU")  # Sep; Sept; June, July and Sept


def _english(name: str, *patterns: str, weight: float = 1.0) -> Style:
    return Style(name, "en", patterns, _ENGLISH_WEEKDAYS, _ABBREVIATIONS, _CASES, weight=weight)


def _numbers(name: str, *patterns: str, **choices) -> Style:
    return Style(name, "any", patterns, _NUMBER_WEEKDAYS, spellings=_CASES, **choices)


def _japanese(name: str, *patterns: str, **choices) -> Style:
    return Style(name, "ja", patterns, _JAPANESE_WEEKDAYS, ("ja",), **choices)


def _joined() -> tuple[str, ...]:
    """Join day, short or long month and year by one sign, in the orders that people use."""
    orders = ("{d}{s}{m}{s}y", "y{s}{m}{s}{d}")
    parts = [
        dict(d=d, s=s, m=m)
        for s in ("-", "/", ".", "")
        for m in ("MMM", "MMMM")
        for d in ("dd", "d")
    ]
    month_first = [f"{m}{s}{d}{s}y" for s in "-/." for m in ("MMM", "MMMM") for d in ("dd", "d")]
    return (*(order.format(**p) for order in orders for p in parts), *month_first)  # fmt: skip


def _separated(*parts: str) -> tuple[str, ...]:
    """Put each usual sign between the parts of a numeric pattern, padded with zeros or not."""
    padded = ["y" if part == "y" else part * 2 for part in parts]
    return tuple(
        sign.join(p) for p in (padded, parts) for sign in ("/", "-", ".", " ", ". ", " / ", "_")
    )


_ALL = (
    _english("en gb", "d MMMM y", "d MMMM, y", "dd MMMM y", "d MMMM y G", "d. MMMM y"),
    _english("en us", "MMMM d, y", "MMMM d y", "MMMM dd, y", "MMMM d, y G"),
    _english("en gb ordinal",
        "d'{th}' MMMM y", "d'{th}' MMMM, y", "'the' d'{th} of' MMMM y", "'the' d'{th} of' MMMM, y",
        "d'{th} of' MMMM y", "d'{th} of' MMMM, y", "'the' d'{th}' MMMM y",
        "'the' d'{th} day of' MMMM y", "'the' d'{th} day of' MMMM, y"),
    _english("en us ordinal",
        "MMMM d'{th}', y", "MMMM d'{th}' y", "MMMM 'the' d'{th}', y", "MMMM 'the' d'{th}' y"),
    _english("en gb short",
        "d MMM y", "dd MMM y", "d MMM, y", "d MMM. y", "d'{th}' MMM y", "d'{th} of' MMM y",
        "d'{th}' MMM, y"),
    _english("en us short",
        "MMM d, y", "MMM. d, y", "MMM d y", "MMM dd, y", "MMM dd y", "MMM. d y", "MMM d'{th}', y",
        "MMM d'{th}' y", "MMM. d'{th}', y"),
    _english("en year first",
        "y MMMM d", "y MMM d", "y MMM dd", "y, MMMM d", "y, MMM d", "y MMMM d'{th}'",
        "y MMM d'{th}'", "y, d MMMM", "y d MMMM", weight=1.5),
    _english("en joined", *_joined(), weight=1.5),
    _english("en words",
        "'the {ordinal} of' MMMM y", "'{ordinal} of' MMMM y", "'the {ordinal} of' MMMM, y",
        "MMMM 'the {ordinal}', y", "MMMM '{ordinal}', y", "MMMM '{ordinal}' y",
        "'{ordinal}' MMMM y", weight=3.0),
    _english("en era",
        "d MMMM '{latin} {number}'", "MMMM d, '{latin} {number}'", "'{latin} {number}', MMMM d",
        "d'{th}' MMMM '{latin} {number}'", "'{latin} {number}', d MMMM", "'{latin} {number}'/M/d",
        "'{latin} {number}'.M.d", "'{latin} {number}'-M-d", weight=4.0),
    _numbers("iso", "y-MM-dd", weight=0.5),
    _numbers("year first", *_separated("y", "M", "d")),
    _numbers("year first joined", "yMMdd", weight=1.5),
    _numbers("day first", *_separated("d", "M", "y"), fits=_has_one_reading, weight=2.0),
    _numbers("month first", *_separated("M", "d", "y"), fits=_has_one_reading, weight=2.0),
    _japanese("ja", "y年M月d日", "y年MM月dd日", "Gy年M月d日", "G y年M月d日", "y 年 M 月 d 日", "y年 M月 d日"),
    _japanese("ja numbers", "y/M/d", "y/MM/dd", "y.M.d", "y-MM-dd"),
    _japanese("ja kanji",
        "y年M月d日", "Gy年M月d日", spellings=(in_kanji, in_kanji_as_read, in_kanji_digits), weight=2.0),
    _japanese("ja full width",
        "y年M月d日", "y/MM/dd", "y-MM-dd", "'{letter}{year}'.M.d", "'{era}{year}'年M月d日",
        spellings=(_full_width,), weight=0.5),
    _japanese("ja era",
        "'{era}{year}'年M月d日", "'{era}{padded}'年MM月dd日", "'{era} {year}' 年 M 月 d 日",
        "'{era}{year}'年 M月 d日", "'{era} {year}'年M月d日", weight=2.0),
    _japanese("ja era numbers",
        *(f"'{{era}}{{year}}'{s}M{s}d" for s in "./-"),
        *(f"'{{era}}{{padded}}'{s}MM{s}dd" for s in "./-"), "'{initial}{year}'.M.d",
        "'{initial}{year}'/M/d", "'{initial}{year}'年M月d日", weight=1.5),
    _japanese("ja era letter",
        *(f"'{{letter}}{{year}}'{s}M{s}d" for s in "./-"),
        *(f"'{{letter}}{{padded}}'{s}MM{s}dd" for s in "./-"), "'{letter}{year}'年M月d日",
        "'{letter}{year}'.MM.dd", "'{letter}{year}'/MM/dd", "'{letter}.{year}'.M.d",
        "'{letter} {year}'.M.d", "'{letter}{padded}'MMdd", "'{letter}{padded}'年MM月dd日",
        spellings=(str, str.lower), weight=2.0),
    _japanese("ja era sign", "'{sign}{year}'年M月d日", "'{sign}{year}'.M.d", weight=1.0),
    _japanese("ja era kanji",
        "'{era}{year}'年M月d日", spellings=(in_kanji, in_kanji_digits), weight=2.0),
    _japanese("ja both years",
        "y年('{era}{year}'年)M月d日", "'{era}{year}'年(y年)M月d日", "y('{era}{year}')年M月d日",
        "'{era}{year}'(y)年M月d日", "y年（'{era}{year}'年）M月d日", "y年M月d日('{era}{year}'年)",
        "'{era}{year}'年M月d日(y年)"),
)  # fmt: skip
STYLES: dict[str, Style] = {style.name: style for style in _ALL}


def write(day: date, style: str, rng: random.Random) -> str:
    """Write a day in one way of a style, drawn by `rng`; half have no weekday, and most the usual spelling.

    Raises ValueError for a day outside FIRST_DAY to LAST_DAY, an unknown style, and a day that the style would
    write with two readings.

    >>> write(date(2024, 3, 5), "en gb", random.Random(1))
    '5 March 2024'
    """
    check_day(day)
    chosen = find_style(style)
    _check_fits(day, chosen)
    if not isinstance(rng, random.Random):
        raise ValueError(
            f"rng={describe(rng)} cannot draw; give a random.Random, such as random.Random(0)"
        )
    return draw_form(day, chosen, rng)


def forms(day: date, style: str) -> list[str]:
    """Write a day in all ways of a style, each once, the usual one first.

    Raises ValueError as `write` does.

    >>> forms(date(2024, 12, 25), "ja era kanji")[:2]
    ['令和六年十二月二十五日', '令和六年一二月二五日']
    >>> forms(date(2019, 5, 1), "ja era letter")[0], forms(date(2024, 3, 13), "day first")[0]
    ('R元.5.1', '13/03/2024')
    """
    check_day(day)
    chosen = find_style(style)
    _check_fits(day, chosen)
    choices = product(
        chosen.weekdays, chosen.patterns, _own_fields(day), chosen.locales, chosen.spellings
    )
    ways = (_fill(day, weekday % pattern, *rest) for weekday, pattern, *rest in choices)
    return list(dict.fromkeys(ways))


def draw_form(day: date, style: Style, rng: random.Random) -> str:
    """Write a day in one way of a style that fits it, without asking whether it does."""
    weekday = style.weekdays[0] if rng.random() < 0.5 else rng.choice(style.weekdays)
    spelling = style.spellings[0] if rng.random() < 0.4 else rng.choice(style.spellings)
    fields = rng.choice(_own_fields(day))
    return _fill(day, weekday % rng.choice(style.patterns), fields, rng.choice(style.locales), spelling)  # fmt: skip


def find_style(name: str) -> Style:
    """Look a style up by its name; raises ValueError, with the nearest name, where there is none."""
    if not isinstance(name, str) or name not in STYLES:
        nearest = difflib.get_close_matches(str(name), STYLES, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"style={describe(name)} is unknown; use one of {', '.join(STYLES)} (the nearest is {nearest!r})"
        )
    return STYLES[name]


_locale = cache(Locale.parse)


def _fill(day: date, pattern: str, fields: dict, locale: str, spelling) -> str:
    """Let babel fill the pattern, then put our own fields into its braces."""
    text = format_date(day, pattern, locale=_locale(locale))
    return spelling(text.format_map(fields) if "{" in text else text)


def _own_fields(day: date) -> list[dict[str, str | int]]:
    """Give what babel lacks, once for each era of the day and each name of its year: 元年 is year 1."""
    shared = {
        "th": _ENDINGS.get(day.day, "th"),
        "ordinal": _ORDINALS[day.day - 1],
        "weekday": _WEEKDAYS[day.weekday()],
    }
    return [
        {**shared, "era": era.name, "initial": era.name[0], "latin": era.latin, "letter": era.letter, "sign": era.sign,
         "year": name, "number": year, "padded": f"{year:02}"}
        for era, year in years_of_eras(day)
        for name in (["元", 1] if year == 1 else [year])
    ]  # fmt: skip


def check_day(day) -> None:
    """Raise ValueError for what is no day from FIRST_DAY to LAST_DAY."""
    if not isinstance(day, date) or isinstance(day, datetime):
        raise ValueError(
            f"day={describe(day)} is no calendar day; give a datetime.date, such as date(2024, 3, 5)"
        )
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError(
            f"day={day} is outside the days that are written here; use {FIRST_DAY} to {LAST_DAY} "
            f"(the nearest is {min(max(day, FIRST_DAY), LAST_DAY)})"
        )


def _check_fits(day: date, style: Style) -> None:
    if not style.fits(day):
        raise ValueError(
            f"day={day} has two readings when written as {style.name!r}, since {day.day} and {day.month} can both be "
            f"a month; use a day after the 12th (the nearest is {day.replace(day=13)}), or the style 'iso'"
        )
