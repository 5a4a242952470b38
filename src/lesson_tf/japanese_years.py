"""Japanese eras and kanji numerals: what no calendar of the standard library or of babel knows."""

import re
from datetime import date, datetime
from numbers import Integral
from typing import NamedTuple

from lesson_tf.vocabulary import check_text, describe


class Era(NamedTuple):
    """An era: its name in kanji and in Latin letters, its letter and sign, its first and last day."""

    name: str
    latin: str
    letter: str
    sign: str
    first_day: date
    last_day: date


# Two eras changed within a day, on which an emperor died: 1912-07-30 and 1926-12-25 belong to both.
# 昭和 ended with its last day, and 平成 with an abdication. 令和 has not ended.
ERAS = (
    Era("明治", "Meiji", "M", "㍾", date(1868, 1, 25), date(1912, 7, 30)),
    Era("大正", "Taisho", "T", "㍽", date(1912, 7, 30), date(1926, 12, 25)),
    Era("昭和", "Showa", "S", "㍼", date(1926, 12, 25), date(1989, 1, 7)),
    Era("平成", "Heisei", "H", "㍻", date(1989, 1, 8), date(2019, 4, 30)),
    Era("令和", "Reiwa", "R", "㋿", date(2019, 5, 1), date.max),
)

_DIGITS = "〇一二三四五六七八九"
_POWERS = ((1000, "千"), (100, "百"), (10, "十"))
_NUMBER = re.compile(r"\d+")


def era_years(day: date) -> list[tuple[str, int]]:
    """Name the eras of a day and its year in each: two on the days when an era changed before midnight.

    Days before 1873-01-01 followed another calendar, and their months and days are not converted here.

    Source: the imperial edicts of 1912 and 1926, which make that very day the first of year 1, and the cabinet
    orders by which 平成 begins on 1989-01-08 and 令和 on 2019-05-01.

    >>> era_years(date(2024, 3, 5))
    [('令和', 6)]
    >>> era_years(date(1926, 12, 25))
    [('大正', 15), ('昭和', 1)]
    """
    return [(era.name, year) for era, year in years_of_eras(day)]


def years_of_eras(day: date) -> list[tuple[Era, int]]:
    """Give the eras of a day, with all their names, and the day's year in each.

    >>> [(era.letter, year) for era, year in years_of_eras(date(1989, 1, 7))]
    [('S', 64)]
    """
    if not isinstance(day, date) or isinstance(day, datetime):
        raise ValueError(
            f"day={describe(day)} is no calendar day; give a datetime.date, such as date(2024, 3, 5)"
        )
    return [
        (era, day.year - era.first_day.year + 1)
        for era in ERAS
        if era.first_day <= day <= era.last_day
    ]


def kanji_number(number: int) -> str:
    """Write a number from 1 to 9999 as it is read: tens, hundreds and thousands have signs of their own.

    Raises ValueError for any other number.

    >>> kanji_number(25), kanji_number(2024)
    ('二十五', '二千二十四')
    """
    _check_number(number, 1, 9999)
    text = ""
    for power, sign in _POWERS:
        count, number = divmod(number, power)
        text += (_DIGITS[count] if count > 1 else "") + (sign if count else "")
    return text + (_DIGITS[number] if number else "")


def kanji_digits(number: int) -> str:
    """Write a whole number of 0 or more digit by digit.

    Raises ValueError for any other number.

    >>> kanji_digits(2024)
    '二〇二四'
    """
    _check_number(number, 0)
    return "".join(_DIGITS[int(digit)] for digit in str(number))


def in_kanji(text: str) -> str:
    """Rewrite the numbers of a text: years of four digits digit by digit, smaller numbers as they are read.

    >>> in_kanji("2024年12月25日")
    '二〇二四年十二月二十五日'
    """
    return _rewritten(text, lambda n: kanji_digits(n) if n > 99 else kanji_number(n))


def in_kanji_as_read(text: str) -> str:
    """Rewrite every number of a text as it is read.

    >>> in_kanji_as_read("2024年12月25日")
    '二千二十四年十二月二十五日'
    """
    return _rewritten(text, kanji_number)


def in_kanji_digits(text: str) -> str:
    """Rewrite every number of a text digit by digit.

    >>> in_kanji_digits("2024年12月25日")
    '二〇二四年一二月二五日'
    """
    return _rewritten(text, kanji_digits)


def _rewritten(text: str, write) -> str:
    check_text(text)
    return _NUMBER.sub(lambda number: write(int(number.group())), text)


def _check_number(number, least: int, most: int | None = None) -> None:
    whole = isinstance(number, Integral) and not isinstance(number, bool)
    if not whole or number < least or (most is not None and number > most):
        allowed = f"{least} or more" if most is None else f"{least} to {most}"
        raise ValueError(f"number={describe(number)} is not written here; use {allowed}")
