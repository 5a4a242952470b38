"""Finds measured numbers in prose, and the outputs and assertions that they can stand on.

A number is taken for measured if it is a decimal, a percentage or has three digits or more. It stands
on an output or a number in the code that rounds to it: 99 % on 0.9873, 16,640 on 16640.
"""

import ast
import re
from dataclasses import dataclass

from reading import Notebook, Passage, alternative_text, output_texts, passages, syntax_tree, tags

NUMBER = r"[0-9]{1,3}(?:[,\u202f][0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?(?:[eE][-+−]?[0-9]+)?"
IN_PROSE = re.compile(
    rf"(?P<about>(?:about|around|roughly|nearly|almost|some|over|more than|約|およそ|ほぼ)\s*)?"
    rf"(?<![\w.,/])(?P<number>{NUMBER})(?P<percent>\s?[%％])?",
    re.IGNORECASE,
)
NOT_MEASURED = re.compile(
    r"10\.[0-9]{4,}/\S+"  # a DOI
    r"|arXiv:\S+|https?://\S+"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}"  # a date
    r"|(?:sections?|chapters?|equations?|eq\.|figures?|tables?|lessons?|version|Python|torch|PyTorch"
    r"|MIT|BY|GPT-?|§|第)\s*[0-9]+(?:\.[0-9]+)*",
    re.IGNORECASE,
)
YEAR = re.compile(r"(?:19[0-9]{2}|20[0-3][0-9])$")


@dataclass(frozen=True)
class Measured:
    """A number of the prose: as written, its value, and by how much an output may differ from it."""

    text: str
    value: float
    tolerance: float
    percent: bool


def measured_numbers(text: str) -> list[Measured]:
    """Return the measured numbers of one passage of prose."""
    found = []
    for match in IN_PROSE.finditer(NOT_MEASURED.sub(" · ", text)):
        written, percent = match["number"], bool(match["percent"])
        digits = re.sub(r"[,\u202f]", "", written)
        has_separator = digits != written
        is_year = bool(YEAR.match(digits)) and not percent and not has_separator
        is_decimal = "." in digits or "e" in digits.lower()
        if is_year or not (percent or is_decimal or len(digits) >= 3):
            continue
        found.append(
            Measured(
                match[0].strip(),
                float(digits.replace("−", "-")),
                half_a_unit(digits, about=bool(match["about"])),
                percent,
            )
        )
    return found


def half_a_unit(digits: str, *, about: bool) -> float:
    """Return half of the last digit's unit; trailing zeros of "about 2,000" are no digits."""
    mantissa, _, exponent = re.sub("−", "-", digits.lower()).partition("e")
    decimals = len(mantissa.partition(".")[2])
    if about and not decimals:
        decimals = -(len(mantissa) - len(mantissa.rstrip("0")))
    return 0.5 * 10.0 ** (int(exponent or 0) - decimals)


def evidence(notebook: Notebook) -> list[float | int]:
    """Return the numbers of the compared outputs and of the code."""
    values: list[float | int] = []
    for cell in notebook.code:
        if not tags(cell) & {"nbval-ignore-output", "nbval-skip"}:
            values += [value for text in output_texts(cell) for value in numbers_in(text)]
        values += [
            node.value
            for node in ast.walk(syntax_tree(cell))
            if isinstance(node, ast.Constant) and type(node.value) in (int, float)
        ]
    return values


def numbers_in(text: str) -> list[float | int]:
    """Return the numbers of an output; a percentage as a share, beside the number as written."""
    found: list[float | int] = []
    for match in re.finditer(rf"(?<![\w.])({NUMBER})(\s?%)?", text):
        digits = re.sub(r"[,\u202f]", "", match[1]).replace("−", "-")
        is_whole = digits.isdigit()
        found.append(int(digits) if is_whole else float(digits))
        if match[2]:
            found.append(float(digits) / 100)
    return found


def stands(number: Measured, values: list[float | int]) -> bool:
    """Say whether one of the values rounds to the number."""
    slack = number.tolerance * (1 + 1e-9) + 1e-12 * abs(number.value)
    if any(abs(value - number.value) <= slack for value in values):
        return True
    shares = [value for value in values if isinstance(value, float)]
    return number.percent and any(abs(100 * value - number.value) <= slack for value in shares)


def unsupported(notebook: Notebook) -> list[tuple[str, str, str]]:
    """Return cell id, number and passage of each measured number that nothing supports."""
    values = evidence(notebook)
    claims = [(cell, alternative_text(cell)) for cell in notebook.code]
    for passage in passages(notebook, links=False):
        if passage.section != "Further reading":
            claims.append((passage.cell, without_numbering(passage)))
    return [
        (cell.id, number.text, " ".join(text.split()))
        for cell, text in claims
        for number in measured_numbers(text)
        if not stands(number, values)
    ]


def without_numbering(passage: Passage) -> str:
    """Return the words of a passage; a heading's own number is no measurement."""
    return re.sub(r"^[0-9.]+\s", "", passage.text) if passage.is_heading else passage.text
