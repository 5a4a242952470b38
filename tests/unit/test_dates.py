"""Dates as people write them, read again by a parser that knows nothing of the styles."""

import calendar
import random
import re
import unicodedata
from collections import Counter
from datetime import date, datetime, timedelta
from email.utils import format_datetime
from functools import cache

import pytest
import torch
from babel.dates import format_date
from hypothesis import given, settings
from hypothesis import strategies as st

from lesson_tf.dates import (
    FIRST_DAY,
    LAST_DAY,
    SOURCE_CHARACTERS,
    STYLES,
    DateBatches,
    era_years,
    forms,
    normalize,
    source_tokenizer,
    split,
    target_tokenizer,
    write,
)
from lesson_tf.japanese_years import kanji_digits, kanji_number

ONE_DAY = timedelta(1)
# Thousands of texts: written without the checks of each call.
UNCHECKED = pytest.mark.usefixtures("unchecked")
CHANGES = [date(1912, 7, 30), date(1926, 12, 25), date(1989, 1, 8), date(2019, 5, 1)]
DAYS = st.dates(FIRST_DAY, LAST_DAY)
FITTING = {name: [date(2024, 3, 13), date(1926, 12, 25), date(2019, 5, 31)] for name in STYLES}


# A parser of its own: it finds era, year, month name and weekday wherever they stand.

YEAR_ZERO = {"明": 1867, "大": 1911, "昭": 1925, "平": 1988, "令": 2018,
             "m": 1867, "t": 1911, "s": 1925, "h": 1988, "r": 2018}  # fmt: skip
MONTHS = [name.lower()[:3] for name in calendar.month_abbr]
TENS = {"十": 10, "百": 100, "千": 1000}
ONES = "first second third fourth fifth sixth seventh eighth ninth".split()  # noqa: SIM905
TEENS = "ten eleven twelf thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()  # noqa: SIM905
WEEKDAY = re.compile(
    r"\(?(?<![a-z])(mon|tue|wed|thu|fri|sat|sun)(?:s|rs|nes|ur)*(?:day)?(?![a-z])\.?\)?"
)
JAPANESE_WEEKDAY = re.compile(r"\(([月火水木金土日])\)|\(?([月火水木金土日])曜日?\)?")
ERA = re.compile(
    r"(?<![a-z])(明治?|大正?|昭和?|平成?|令和?|meiji|taisho|showa|heisei|reiwa|[mtshr])[. ]?(元|\d+)"
)


def read_kanji(text: str) -> int:
    """Read a numeral by the values that Unicode gives its signs."""
    if not set(text) & set(TENS):
        return int("".join(str(int(unicodedata.numeric(sign))) for sign in text))
    total = last = 0
    for sign in text:
        value = int(unicodedata.numeric(sign))
        if sign in TENS:
            total += (last or 1) * value
            last = 0
        else:
            last = value
    return total + last


@cache
def words_of_ordinals() -> dict[str, int]:
    teens = {f"{stem}th": 10 + n for n, stem in enumerate(TEENS)}
    tens = {f"{stem}ieth": n for stem, n in (("twent", 20), ("thirt", 30))}
    compound = {
        f"{stem}-{one}": n + i
        for stem, n in (("twenty", 20), ("thirty", 30))
        for i, one in enumerate(ONES, 1)
    }
    return {**{one: n for n, one in enumerate(ONES, 1)}, **teens, **tens, **compound}


def parse(text: str) -> date:
    """Read a normalized text; assert that its weekday, and both its years, are those of its day."""
    text = text.lower()
    text, weekday = take_weekday(text)
    text = re.sub("[〇一二三四五六七八九十百千]+", lambda m: str(read_kanji(m.group())), text)
    for word in sorted(words_of_ordinals(), key=len, reverse=True):
        text = re.sub(rf"(?<![a-z-]){word}(?![a-z-])", str(words_of_ordinals()[word]), text)
    text, era_year, compact = take_era(text)
    text, month = take_month(text)
    numbers = [int(n) for n in re.findall(r"\d+", text)]
    year, month, day = arrange(numbers, text, era_year, month, compact)
    found = date(year, month, day)
    assert weekday is None or found.weekday() == weekday, text
    return found


def take_weekday(text: str):
    if english := WEEKDAY.search(text):
        names = [name.lower() for name in calendar.day_abbr]
        return text.replace(english[0], " ", 1), names.index(english[1])
    if japanese := JAPANESE_WEEKDAY.search(text):
        return text.replace(japanese[0], " ", 1), "月火水木金土日".index(japanese[1] or japanese[2])
    return text, None


def take_era(text: str):
    """Take an era and its year out of a text; in R060305 month and day follow without a sign."""
    if compact := re.match(r"([mtshr])(\d\d)(\d\d)(\d\d)(?!\d)", text):
        letter, *numbers = compact.groups()
        return "", YEAR_ZERO[letter] + int(numbers[0]), [int(n) for n in numbers[1:]]
    if not (era := ERA.search(text)):
        return text, None, None
    year = YEAR_ZERO[era[1][0]] + (1 if era[2] == "元" else int(era[2]))
    return text.replace(era[0], " ", 1), year, None


def take_month(text: str):
    names = re.findall(r"[a-z]{3,}", text)
    months = [(n, MONTHS.index(n[:3])) for n in names if n[:3] in MONTHS]
    assert len(months) <= 1, text
    return (text.replace(months[0][0], " "), months[0][1]) if months else (text, None)


def arrange(numbers: list[int], text: str, year, month, compact):
    """Tell year, month and day apart: by size, by their signs, by their order."""
    if compact:
        return year, *compact
    if numbers and len(str(numbers[0])) == 8:
        return numbers[0] // 10000, numbers[0] // 100 % 100, numbers[0] % 100
    western = [n for n in numbers if n >= 1000]
    assert len(western) <= 1 and (year is None or not western or western[0] == year), text
    year = western[0] if western else year
    rest = [n for n in numbers if n < 1000]
    if month:
        assert len(rest) == 1, text
        return year, month, rest[0]
    first, second = rest
    if "月" not in text and western and numbers.index(year) == 2:  # day and month by size
        assert first == second or (first > 12) != (second > 12), f"{text} has two readings"
        return (year, second, first) if first > 12 else (year, first, second)
    return year, first, second


# What the styles write


def fitting(day: date) -> list[str]:
    return [name for name, style in STYLES.items() if style.fits(day)]


@cache
def texts_of(day: date) -> frozenset[str]:
    """Give every text of a day, normalized."""
    return frozenset(normalize(text) for name in fitting(day) for text in forms(day, name))


@settings(max_examples=300, deadline=None)
@given(DAYS, st.sampled_from(list(STYLES)), st.integers(0, 2**32))
def test_what_is_written_is_read_as_the_same_day(day, style, seed):
    if STYLES[style].fits(day):
        assert parse(normalize(write(day, style, random.Random(seed)))) == day


@pytest.mark.parametrize("name", STYLES)
@UNCHECKED
def test_every_form_of_a_style_is_read_as_its_day(name):
    for day in FITTING[name]:
        if STYLES[name].fits(day):
            for text in forms(day, name):
                assert parse(normalize(text)) == day, text


@pytest.mark.parametrize("name", STYLES)
@UNCHECKED
def test_a_style_writes_each_of_its_forms_and_no_other(name):
    day, rng = date(2024, 3, 13), random.Random(0)
    ways = forms(day, name)
    assert len(ways) == len(set(ways))
    drawn = Counter(write(day, name, rng) for _ in range(40 * len(ways)))
    assert set(drawn) <= set(ways)
    assert len(drawn) > 0.95 * len(ways)
    assert drawn[ways[0]] >= 1, "the usual form is never written"


@pytest.mark.parametrize("name", STYLES)
def test_the_example_of_a_style_is_one_of_its_forms(name):
    style = STYLES[name]
    day = parse(normalize(style.example))
    assert style.name == name and style.language in {"en", "ja", "any"}
    assert style.example == forms(day, name)[0]


# Ways of writing 5 March 2024 collected from letters, forms and programs, apart from the patterns.
FIFTH_OF_MARCH = """
5 March 2024|March 5, 2024|March 5 2024|5 March, 2024|5th March 2024|the 5th of March 2024
the 5th of March, 2024|March 5th, 2024|March the 5th, 2024|5 Mar 2024|Mar 5, 2024|Mar. 5, 2024
5-Mar-2024|05-MAR-2024|2024 March 5|2024-Mar-05|Tuesday, March 5, 2024|Tuesday 5 March 2024
Tue, 5 March 2024|Tue 5 Mar 2024|Tue Mar 5 2024|tue mar  5 2024|TUESDAY, 5TH MARCH 2024
tues 5th march 2024|March fifth, 2024|the fifth of March 2024|5 March 2024 AD|March 5, Reiwa 6
05mar2024|5.Mar.2024|5/Mar/2024|on Tuesday, March 5, 2024|5 March 2024 (Tuesday)
2024-03-05|2024/3/5|2024.03.05|2024.3.5|20240305|2024-3-5|2024/03/05|2024. 3. 5.|2024_03_05
Tue, 2024-03-05|2024-03-05 (Tue)|2024–03–05|2024−03−05|２０２４／０３／０５|2024·03·05
2024年3月5日|2024年03月05日|西暦2024年3月5日|2024 年 3 月 5 日|２０２４年３月５日（火）|2024年3月5日(火)
2024年3月5日（火曜日）|2024年3月5日火曜日|2024年3月5日 火曜|2024/3/5（火）|2024・3・5
二〇二四年三月五日|二○二四年三月五日|二千二十四年三月五日|令和六年三月五日|令和6年3月5日|令和６年３月５日
㋿6年3月5日|㋿６年３月５日|R6.3.5|R6/3/5|R06.03.05|R6年3月5日|r6.3.5|Ｒ６．３．５|令和6.3.5|令6.3.5|R060305
R.6.3.5|R6-3-5|令和6年(2024年)3月5日|2024年（令和6年）3月5日|2024（令和6）年3月5日|　令和6年3月5日　|5 mar 2024
"""


@pytest.mark.parametrize(
    "text", [t for line in FIFTH_OF_MARCH.split("\n") if line for t in line.split("|")]
)
@UNCHECKED
def test_the_styles_cover_what_people_write(text):
    assert normalize(text) in texts_of(date(2024, 3, 5))


@pytest.mark.parametrize(("text", "day"), [
    ("13/05/2024", date(2024, 5, 13)), ("05/13/2024", date(2024, 5, 13)),
    ("05.05.2024", date(2024, 5, 5)), ("5-5-2024", date(2024, 5, 5)),
    ("25 Dec. 1989", date(1989, 12, 25)), ("Sept 1, 1999", date(1999, 9, 1)),
    ("Sep. 1, 1999", date(1999, 9, 1)), ("1st of June, 2001", date(2001, 6, 1)),
    ("22nd June 2001", date(2001, 6, 22)), ("June 3rd, 2001", date(2001, 6, 3)),
    ("the 11th of June 2001", date(2001, 6, 11)), ("the twenty-first of June 2001", date(2001, 6, 21)),
    ("令和元年5月1日", date(2019, 5, 1)), ("令和1年5月1日", date(2019, 5, 1)),
    ("R元.5.1", date(2019, 5, 1)), ("㋿元年5月1日", date(2019, 5, 1)),
    ("平成三十一年四月三十日", date(2019, 4, 30)), ("昭和六十四年一月七日", date(1989, 1, 7)),
    ("㍻元年1月8日", date(1989, 1, 8)), ("S64.1.7", date(1989, 1, 7)), ("H1.1.8", date(1989, 1, 8)),
    ("大正十五年十二月二十五日", date(1926, 12, 25)), ("昭和元年十二月二十五日", date(1926, 12, 25)),
    ("明治45年7月30日", date(1912, 7, 30)), ("大正元年7月30日", date(1912, 7, 30)),
    ("明治六年一月一日", date(1873, 1, 1)), ("令和八十二年十二月三十一日", date(2100, 12, 31)),
    ("二〇二四年十二月二十五日", date(2024, 12, 25)), ("二〇二四年一二月二五日", date(2024, 12, 25)),
    ("令和弐年拾月壱日", date(2020, 10, 1)),
])  # fmt: skip
@UNCHECKED
def test_other_days_are_written_as_people_write_them(text, day):
    assert normalize(text) in texts_of(day)


@pytest.mark.parametrize(
    "locale", ["en_US", "en_GB", "en_AU", "en_CA", "en_IE", "en_NZ", "en_ZA", "ja"]
)
@pytest.mark.parametrize("length", ["full", "long", "medium"])
@UNCHECKED
def test_the_styles_cover_the_formats_of_each_country(locale, length):
    day = date(2024, 9, 13)
    assert normalize(format_date(day, length, locale=locale)) in texts_of(day)


@UNCHECKED
def test_english_agrees_with_the_clock_of_the_system():
    """Babel and strftime are independent; every fifth day of a year, in both orders and with weekdays."""
    for n in range(0, 366, 5):
        day = date(2024, 1, 1) + n * ONE_DAY
        assert f"{day:%A}, {day.day} {day:%B %Y}" in forms(day, "en gb")
        assert f"{day:%a}, {day:%B} {day.day}, {day:%Y}" in forms(day, "en us")
        email = format_datetime(datetime(day.year, day.month, day.day))
        assert email[:16] in forms(day, "en gb short")


@given(DAYS)
def test_numbers_agree_with_the_standard_library(day):
    assert datetime.fromisoformat(forms(day, "iso")[0]).date() == day
    assert datetime.fromisoformat(forms(day, "year first joined")[0]).date() == day
    if STYLES["day first"].fits(day):
        assert f"{day:%d/%m/%Y}" in forms(day, "day first")
        assert f"{day:%m/%d/%Y}" in forms(day, "month first")


@UNCHECKED
def test_what_has_two_readings_is_written_in_no_style():
    readable = {day for day in range(1, 32) if STYLES["day first"].fits(date(2024, 3, day))}
    assert readable == {3, *range(13, 32)}
    two_readings = {
        normalize(t) for t in ("05/03/2024", "03/05/2024", "5.3.2024", "3-5-2024", "5/3/24")
    }
    for day in (date(2024, 3, 5), date(2024, 5, 3)):
        assert not two_readings & texts_of(day)


# Eras and numerals


@pytest.mark.parametrize(("day", "eras"), [
    (date(1873, 1, 1), [("明治", 6)]),
    (date(1912, 7, 29), [("明治", 45)]),
    (date(1912, 7, 30), [("明治", 45), ("大正", 1)]),
    (date(1912, 7, 31), [("大正", 1)]),
    (date(1913, 1, 1), [("大正", 2)]),
    (date(1926, 12, 24), [("大正", 15)]),
    (date(1926, 12, 25), [("大正", 15), ("昭和", 1)]),
    (date(1926, 12, 26), [("昭和", 1)]),
    (date(1927, 1, 1), [("昭和", 2)]),
    (date(1988, 12, 31), [("昭和", 63)]),
    (date(1989, 1, 7), [("昭和", 64)]),
    (date(1989, 1, 8), [("平成", 1)]),
    (date(2019, 4, 30), [("平成", 31)]),
    (date(2019, 5, 1), [("令和", 1)]),
    (date(2020, 1, 1), [("令和", 2)]),
    (date(2024, 3, 5), [("令和", 6)]),
    (date(2100, 12, 31), [("令和", 82)]),
])  # fmt: skip
def test_eras_are_right_to_the_day(day, eras):
    assert era_years(day) == eras


@UNCHECKED
def test_every_day_has_one_era_and_two_days_have_two():
    days = [FIRST_DAY + n * ONE_DAY for n in range((LAST_DAY - FIRST_DAY).days + 1)]
    assert [day for day in days if len(era_years(day)) != 1] == CHANGES[:2]
    names = [era_years(day)[-1][0] for day in days]
    assert [
        b for a, b, x, y in zip(days, days[1:], names, names[1:], strict=False) if x != y
    ] == CHANGES


def test_both_names_of_a_day_are_written():
    assert {t[:2] for t in forms(date(1926, 12, 25), "ja era")} == {"大正", "昭和"}
    assert {t[0] for t in forms(date(1912, 7, 30), "ja era letter")} == set("MTmt")


@pytest.mark.parametrize(
    "number",
    [1, 9, 10, 11, 20, 64, 99, 100, 101, 110, 999, 1000, 1010, 1111, 1873, 2000, 2010, 2100],
)
def test_kanji_numerals_against_the_values_of_unicode(number):
    assert read_kanji(kanji_number(number)) == read_kanji(kanji_digits(number)) == number


@UNCHECKED
def test_every_kanji_numeral_has_its_own_value():
    assert [read_kanji(kanji_number(n)) for n in range(1, 10000)] == list(range(1, 10000))
    assert [kanji_number(n) for n in (10, 15, 100, 1000, 2024)] == [
        "十",
        "十五",
        "百",
        "千",
        "二千二十四",
    ]


# Reading


@given(st.text())
def test_normalizing_twice_changes_nothing_more(text):
    assert normalize(normalize(text)) == normalize(text)


@pytest.mark.parametrize(("text", "normal"), [
    ("  5 March\t2024\n", "5 March 2024"),
    ("5\u00a0March\u30002024", "5 March 2024"),
    ("2024\u200b-03\ufeff-05", "2024-03-05"),
    ("2024‐03‑05", "2024-03-05"),
    ("2024ー3ー5", "2024-3-5"),
    ("2024年3月5日〔火〕", "2024年3月5日(火)"),
    ("２０２４年㋂㏤", "2024年3月5日"),
    ("5ᵗʰ March 2024", "5th March 2024"),
    ("Shōwa 64", "Showa 64"),
    ("", ""),
])  # fmt: skip
def test_signs_that_mean_the_same_become_one(text, normal):
    assert normalize(text) == normal


@UNCHECKED
def test_the_source_characters_are_those_that_occur():
    days = {*CHANGES, *(date(1880 + month, month, 8 + month) for month in range(1, 13))}
    assert set().union(*(text for day in days for text in texts_of(day))) == set(SOURCE_CHARACTERS)
    assert len(SOURCE_CHARACTERS) == len(set(SOURCE_CHARACTERS))


# Splits and batches


@UNCHECKED
def test_a_split_gives_each_day_to_one_part():
    parts = [split(0).train, split(0).validation, split(0).test]
    days = [day for part in parts for day in part]
    assert len(days) == len(set(days)) == (LAST_DAY - FIRST_DAY).days + 1
    assert all(part == sorted(part) for part in parts)
    assert [round(len(part) / len(days), 3) for part in parts] == [0.8, 0.1, 0.1]
    assert split(0) == split(0) and split(0).test != split(1).test


@UNCHECKED
def test_no_text_of_a_test_day_is_ever_trained_on():
    """By day, and by text: batches of training days hold no form of any of these test days."""
    days = split(0)
    batches = DateBatches(days.train, source_tokenizer(), target_tokenizer(), 64, seed=0)
    trained = {text for step in range(150) for text, _ in batches.pairs(step)}
    unseen = set().union(*map(texts_of, random.Random(0).sample(days.test, 12)))
    assert len(unseen) > 40_000
    assert not trained & unseen


@UNCHECKED
def test_no_two_days_share_a_text():
    seen = Counter()
    for n in range(10):
        seen.update(texts_of(date(2011, 12, 5) + n * ONE_DAY))
    assert max(seen.values()) == 1


def batches(seed=0, days=None, **choices):
    days = random.Random(0).sample(split().train, 1000) if days is None else days
    return DateBatches(days, source_tokenizer(), target_tokenizer(), 16, seed, **choices)


def test_a_batch_depends_on_seed_and_step_alone():
    ours, theirs = batches(3), batches(3)
    later = ours[7]
    ours[2], random.random(), torch.rand(1)
    for one, other in zip(later, theirs[7], strict=True):
        assert torch.equal(one, other)
    assert ours.pairs(7) != ours.pairs(8) and ours.pairs(7) != batches(4).pairs(7)


def test_a_batch_holds_what_its_pairs_say():
    source, target = source_tokenizer(), target_tokenizer()
    source_ids, target_ids = batches()[5]
    assert source_ids.dtype == target_ids.dtype == torch.int64
    assert target_ids.shape == (16, 12)
    assert (target_ids[:, 0] == target.bos_id).all() and (target_ids[:, -1] == target.eos_id).all()
    for row, written, (text, iso) in zip(source_ids, target_ids, batches().pairs(5), strict=True):
        assert source.decode(row) == text and target.decode(written) == iso
        assert (row[len(text) :] == source.pad_id).all()
    assert source_ids.shape[1] == max(len(text) for text, _ in batches().pairs(5))
    assert source.unknown_id not in source_ids


def test_batches_draw_the_styles_that_are_asked_for():
    texts = [text for text, _ in batches(styles=["iso"], slips=0.0).pairs(0)]
    assert all(re.search(r"\d{4}-\d\d-\d\d", text) for text in texts)
    day_first = batches(days=[date(2024, 3, 5), date(2024, 3, 13)], styles=["day first"]).pairs(0)
    assert {iso for _, iso in day_first} == {"2024-03-13"}


def test_pairs_are_true():
    ours = batches(slips=0.0)
    for step in range(20):
        for text, iso in ours.pairs(step):
            assert parse(text).isoformat() == iso


@UNCHECKED
def test_a_slip_changes_signs_and_neither_numbers_nor_letters():
    def essence(text):
        return re.findall(r"\d+", text), re.sub(r"[^\w]|\d|_", "", text)

    clean, slipped = ([t for n in range(40) for t, _ in batches(n, days=[date(2024, 3, 13)], slips=s).pairs(0)]
                      for s in (0.0, 1.0))  # fmt: skip
    known = {(tuple(n), letters) for n, letters in map(essence, texts_of(date(2024, 3, 13)))}
    assert all((tuple(n), letters) in known for n, letters in map(essence, slipped))
    assert sum(text not in texts_of(date(2024, 3, 13)) for text in slipped) > len(slipped) / 4
    assert all(text in texts_of(date(2024, 3, 13)) for text in clean)


def test_more_than_half_of_the_days_are_drawn_without_a_weekday():
    rng, day = random.Random(0), date(2024, 3, 5)
    drawn = [write(day, "en gb", rng).lower() for _ in range(500)]
    assert 0.5 < sum("tue" not in text for text in drawn) / 500 < 0.7


def test_short_years_of_eras_are_drawn_more_often_than_their_days():
    days = [day for day in split().train if day.year > 1925]
    texts = [text for step in range(200) for text, _ in batches(days=days, slips=0.0).pairs(step)]
    showa = re.compile(r"(?:昭和|Showa ?|S\.?)(?:元|一|1)(?:年|[./-])", re.IGNORECASE)
    share = sum(bool(showa.match(text)) for text in texts) / len(texts)
    assert share > 0.003  # 0.05 over 6 such years; by its days, 4 in 100,000


def test_the_styles_with_an_era_can_write_every_day():
    with_eras = [style for style in STYLES.values() if style.has_era]
    assert {style.name for style in with_eras} == {
        *("en era", "ja both years"),
        *(name for name in STYLES if name.startswith("ja era")),
    }
    for style in with_eras:
        assert style.fits(date(2024, 3, 5)) and style.fits(date(2024, 3, 13))
