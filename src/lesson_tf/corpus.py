"""The text that the language model learns from: torch's own documentation, which every reader has installed."""

import ast
import hashlib
import inspect
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from numbers import Integral
from operator import attrgetter
from pathlib import Path
from types import ModuleType

import torch

# Of `torch_documentation()`: it changes with torch's version, and a model trained on it changes too.
TORCH_VERSION = "2.13.0"
TORCH_DOCUMENTATION_SHA256 = "d12d43fe75349bb2630e14d024bba7998a7f7c2240dec33d70d533c99ed8c889"

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


def fingerprint(texts: Sequence[str]) -> str:
    """Give the SHA-256 of the texts in their order.

    >>> fingerprint(["a", "b"])[:8] == fingerprint(["ab"])[:8]
    False
    """
    texts = _listed(texts)
    return hashlib.sha256("\0".join(texts).encode("utf-8")).hexdigest()


def check_torch_documentation(texts: Sequence[str]) -> None:
    """Raise ValueError where the texts are not those that the shipped language model was trained on."""
    found = fingerprint(texts)
    if found != TORCH_DOCUMENTATION_SHA256:
        raise ValueError(
            f"the documentation of torch {torch.__version__} ({len(texts)} texts, SHA-256 {found[:8]}…) is not that of "
            f"torch {TORCH_VERSION} (SHA-256 {TORCH_DOCUMENTATION_SHA256[:8]}…), on which the language model and its numbers rest; "
            f"install torch=={TORCH_VERSION}"
        )


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
