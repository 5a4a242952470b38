"""Texts that every reader has installed: English, code and Japanese, out of the packages that the book needs.

They change with those packages, so each has the hash of the versions that the book's numbers rest on.
"""

import ast
import hashlib
import inspect
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from importlib.metadata import version
from itertools import combinations
from numbers import Integral
from operator import attrgetter
from pathlib import Path
from types import ModuleType

import torch

TORCH_VERSION = "2.13.0"
SPHINX_VERSION = "7.4.7"
BABEL_VERSION = "2.18.0"
TORCH_DOCUMENTATION_SHA256 = "d12d43fe75349bb2630e14d024bba7998a7f7c2240dec33d70d533c99ed8c889"
PYTHON_CODE_SHA256 = "096891c8bdf6d2c9bae8630e8cedadcb05e4493352559d4b81da012f51ae404b"
JAPANESE_TEXTS_SHA256 = "76008f9a98966d424ccb9b1dbc3ab82ac30a76ac73c3f3291f29388408ffd148"

# Modules of Sphinx, the program that makes this book's pages.
SPHINX_MODULES = (
    "builders/__init__.py",
    "builders/_epub_base.py",
    "builders/changes.py",
    "builders/epub3.py",
    "builders/gettext.py",
    "builders/linkcheck.py",
    "builders/manpage.py",
    "builders/singlehtml.py",
    "builders/texinfo.py",
    "directives/__init__.py",
    "directives/code.py",
    "directives/other.py",
    "directives/patches.py",
    "domains/__init__.py",
    "domains/changeset.py",
    "domains/citation.py",
    "domains/index.py",
    "domains/javascript.py",
    "domains/math.py",
    "domains/rst.py",
)

SHORTEST_TEXT = 200  # characters; what is shorter says little more than "see torch.add"
HELD_OUT = 0.1
# Two texts are near-copies if half of the shorter one's runs of 8 words stand in the other too.
RUN = 8
NEAR_COPY = 0.5

_WORD_OR_SIGN = re.compile(r"\w+|[^\w\s]")


def torch_documentation() -> list[str]:
    """Read the documentation of torch's functions and tensor methods, in the order of torch's source files.

    A text is what `help` shows, without its outer indentation; texts of 200 characters or fewer, such as
    "See :func:`torch.add`", are left out.

    >>> texts = torch_documentation()
    >>> len(texts), texts[0].splitlines()[0]
    (440, 'abs(input: Tensor, *, out: Optional[Tensor]) -> Tensor')
    """
    from torch import _tensor_docs, _torch_docs

    documented = [*_documented(_torch_docs), *_documented(_tensor_docs)]
    texts = [inspect.cleandoc(thing.__doc__ or "") for thing in documented]
    return [text for text in texts if len(text) > SHORTEST_TEXT]


def python_code() -> list[str]:
    """Read twenty modules of Sphinx, each a text.

    >>> texts = python_code()
    >>> len(texts), texts[0].splitlines()[0]
    (20, '\"\"\"Builder superclass for all builders.\"\"\"')
    """
    folder = _sphinx_folder()
    return [(folder / module).read_text(encoding="utf-8") for module in SPHINX_MODULES]


def sphinx_messages() -> list[tuple[str, str]]:
    """Read what Sphinx says while it works: each message in English and in Japanese.

    >>> messages = sphinx_messages()
    >>> len(messages), messages[108]
    (695, ('Encoding error:', 'エンコードエラー:'))
    """
    from babel.messages.mofile import read_mo

    with (_sphinx_folder() / "locale/ja/LC_MESSAGES/sphinx.mo").open("rb") as file:
        messages = list(read_mo(file))
    return [(message.id, message.string) for message in messages if message.id]


def japanese_texts() -> list[str]:
    """Read Japanese from Babel and Sphinx: names, the days of 2024, and Sphinx's messages.

    The names are those of countries, languages, scripts, currencies and units of measurement.

    >>> texts = japanese_texts()
    >>> len(texts), texts[0], texts[-1]
    (2680, '世界', 'tox.ncx を書き込み中...')
    """
    return [*_japanese_names(), *_japanese_days(), *(japanese for _, japanese in sphinx_messages())]


def fingerprint(texts: Sequence[str]) -> str:
    """Give the SHA-256 of the texts in their order.

    >>> fingerprint(["a", "b"])[:8] == fingerprint(["ab"])[:8]
    False
    """
    texts = _listed(texts)
    return hashlib.sha256("\0".join(texts).encode("utf-8")).hexdigest()


def check_torch_documentation(texts: Sequence[str]) -> None:
    """Raise ValueError where the texts are not those that the shipped language model was trained on."""
    rests = "on which the language model and its numbers rest"
    _check_fingerprint(
        texts, "documentation", {"torch": TORCH_VERSION}, TORCH_DOCUMENTATION_SHA256, rests
    )


def check_python_code(texts: Sequence[str]) -> None:
    """Raise ValueError where the texts are not the code that the lessons on tokens measure."""
    _check_fingerprint(texts, "code", {"sphinx": SPHINX_VERSION}, PYTHON_CODE_SHA256)


def check_japanese_texts(texts: Sequence[str]) -> None:
    """Raise ValueError where the texts are not the Japanese that the lessons on tokens measure."""
    packages = {"babel": BABEL_VERSION, "sphinx": SPHINX_VERSION}
    _check_fingerprint(texts, "Japanese", packages, JAPANESE_TEXTS_SHA256)


def split_texts(texts: Sequence[str], seed: int = 0) -> tuple[list[str], list[str]]:
    """Hold out a tenth of the texts for validation; give back those for training and those held out.

    Of equal texts one is kept, and near-copies (`torch.zeros`, `torch.ones`) stay on one side, so that no held-out
    text is known from training. Both lists keep the order of the texts.

    Raises ValueError for fewer than two different texts, and where too many are near-copies of each other.

    >>> training, validation = split_texts([f"text {n}" for n in range(20)])
    >>> len(training), len(validation)
    (18, 2)
    """
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise ValueError(f"seed={seed!r} is no whole number; use one such as 0")
    texts = list(dict.fromkeys(_listed(texts)))
    if len(texts) < 2:
        raise ValueError(
            f"{len(texts)} different text cannot be split; give 2 or more, or cut it in parts"
        )
    groups = near_copies(texts)
    random.Random(int(seed)).shuffle(groups)
    wanted = max(1, round(HELD_OUT * len(texts)))
    held_out: set[int] = set()
    for group in groups:
        if len(held_out) + len(group) <= wanted:
            held_out.update(group)
    if not held_out:
        raise ValueError(
            f"no group of near-copies among {len(texts)} texts is as small as {wanted}; give texts that differ more"
        )
    training = [text for i, text in enumerate(texts) if i not in held_out]
    return training, [text for i, text in enumerate(texts) if i in held_out]


def near_copies(texts: Sequence[str]) -> list[list[int]]:
    """Group the texts, by their places in the list, so that near-copies, and near-copies of those, are together.

    >>> text = "returns a new tensor of the same shape as the input"
    >>> near_copies([text, "something else", f"{text}, and of its type"])
    [[0, 2], [1]]
    """
    texts = _listed(texts)
    runs = [_runs(text) for text in texts]
    group_of = {i: [i] for i in range(len(texts))}
    for i, j in combinations(range(len(texts)), 2):
        shared = len(runs[i] & runs[j])
        if shared >= NEAR_COPY * min(len(runs[i]), len(runs[j])) and group_of[i] is not group_of[j]:
            group_of[i] += group_of[j]
            group_of.update(dict.fromkeys(group_of[j], group_of[i]))
    return [sorted(group) for i, group in group_of.items() if i == min(group)]


def _check_fingerprint(
    texts: Sequence[str],
    what: str,
    packages: dict[str, str],
    sha256: str,
    rests: str = "on which the numbers of the lessons on tokens rest",
) -> None:
    """Compare the texts with those of the pinned packages; `rests` says what depends on them."""
    found = fingerprint(texts)
    if found != sha256:
        installed = " and ".join(f"{name} {version(name)}" for name in packages)
        pinned = " and ".join(f"{name} {number}" for name, number in packages.items())
        command = " ".join(f"{name}=={number}" for name, number in packages.items())
        raise ValueError(
            f"the {what} of {installed} ({len(texts)} texts, SHA-256 {found[:8]}…) is not that of "
            f"{pinned} (SHA-256 {sha256[:8]}…), {rests}; install {command}"
        )


def _sphinx_folder() -> Path:
    import sphinx

    return Path(sphinx.__file__).parent


def _japanese_names() -> Iterator[str]:
    """Yield names out of CLDR, the tables of languages and countries that Babel brings."""
    from babel import Locale

    locale = Locale("ja")
    for table in (locale.territories, locale.languages, locale.scripts, locale.currencies):
        yield from (table[key] for key in sorted(table))
    units = locale.unit_display_names
    yield from (units[key].get("long", units[key]["short"]) for key in sorted(units))


def _japanese_days() -> Iterator[str]:
    """Yield every day of 2024 with its day of the week, such as 2024年3月5日火曜日."""
    from babel.dates import format_date

    for day in range(366):
        yield format_date(date(2024, 1, 1) + timedelta(day), "full", locale="ja")


def _listed(texts) -> list[str]:
    """Read several texts as a list; one text alone is none."""
    alone = isinstance(texts, str | bytes) or not isinstance(texts, Iterable)
    listed = [] if alone or getattr(texts, "ndim", 1) == 0 else list(texts)
    if alone or not all(isinstance(text, str) for text in listed):
        raise ValueError(f"texts of type {type(texts).__name__} are none; give a list of strings")
    return listed


def _runs(text: str) -> set[tuple[str, ...]]:
    """Collect the runs of 8 neighbouring words and signs; a shorter text is one run."""
    words = _WORD_OR_SIGN.findall(text)
    return {tuple(words[i : i + RUN]) for i in range(max(1, len(words) - RUN + 1))}


def _documented(module: ModuleType) -> Iterator[object]:
    """Find what a module of torch documents: each statement names a thing and its text."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    for statement in tree.body:
        match statement:
            case ast.Expr(ast.Call(ast.Name("add_docstr"), [thing, *_])):
                yield attrgetter(ast.unparse(thing).removeprefix("torch."))(torch)
            case ast.Expr(ast.Call(ast.Name("add_docstr_all"), [ast.Constant(method), *_])):
                yield getattr(torch.Tensor, method)
