"""The family: one small translator for each d_model and number of heads, all trained alike.

What heads and widths do shows on trained models only. Of each member the package ships what the explorers and
lessons show: its attention for fixed sentences, and how often it is right on days it has never seen.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lesson_tf.attention import _check_size, _describe
from lesson_tf.model_files import DATA, as_path
from lesson_tf.recipes import read_results

WIDTHS = (8, 16, 32, 64)
HEADS = (1, 2, 4, 8)
MEMBERS = tuple((d_model, heads) for d_model in WIDTHS for heads in HEADS if d_model % heads == 0)
SENTENCES = ("令和6年3月5日", "昭和64年1月7日(土)", "March 5, 2024", "Tuesday, 5 March 2024")
KINDS = ("encoder", "decoder", "cross")


@dataclass(frozen=True)
class MemberAttention:
    """Where one member of the family looked while it translated one sentence.

    Row t of `decoder` and `cross` belongs to the step that wrote `target_tokens[t]`.
    """

    source_tokens: list[str]
    target_tokens: list[str]
    encoder: Float[Tensor, "layers heads source source"]
    decoder: Float[Tensor, "layers heads target target"]
    cross: Float[Tensor, "layers heads target source"]

    @property
    def text(self) -> str:
        """What the member wrote."""
        return "".join(token for token in self.target_tokens if token != "<eos>")


class Family:
    """The results of all members: attention for `SENTENCES`, exact match on held-out days, and parameters.

    >>> family = load()
    >>> family.attention(64, 4, "令和6年3月5日").encoder.shape
    torch.Size([2, 4, 8, 8])
    >>> family.exact_match(64, 4) > 0.9
    True
    """

    def __init__(self, arrays: dict[str, np.ndarray], results: list[dict[str, str]]):
        self._arrays = arrays
        self.results = results

    def attention(self, d_model: int, heads: int, sentence: str) -> MemberAttention:
        """Give one member's attention for one of the fixed sentences.

        Raises ValueError where there is no such member or sentence.
        """
        name = _member(d_model, heads)
        if not isinstance(sentence, str) or sentence not in SENTENCES:
            raise ValueError(
                f"sentence={_describe(sentence)} is not among those stored; use one of {list(SENTENCES)}, or your own "
                "text with the translator"
            )
        place = f"{name}/{SENTENCES.index(sentence)}"
        kinds = {
            kind: torch.from_numpy(self._arrays[f"{place}/{kind}"].astype(np.float32))
            for kind in KINDS
        }
        source, target = (str(text) for text in self._arrays[f"{place}/texts"])
        return MemberAttention(list(source), target.split(" "), **kinds)

    def exact_match(self, d_model: int, heads: int, style: str = "all") -> float:
        """Give the share of held-out dates that a member writes without a mistake, in one style or in all.

        Raises ValueError where there is no such member or style.
        """
        row, prefix = self._row(d_model, heads), "exact match: "
        if f"{prefix}{style}" not in row:
            styles = [name.removeprefix(prefix) for name in row if name.startswith(prefix)]
            raise ValueError(
                f"style={_describe(style)} was not measured; use one of {', '.join(styles)}"
            )
        return float(row[f"{prefix}{style}"])

    def parameters(self, d_model: int, heads: int) -> int:
        """Count a member's parameters.

        Raises ValueError where there is no such member.
        """
        return int(self._row(d_model, heads)["parameters"])

    def _row(self, d_model: int, heads: int) -> dict[str, str]:
        name = _member(d_model, heads)
        return next(row for row in self.results if name == f"{row['d_model']}x{row['heads']}")


def _member(d_model, heads) -> str:
    for name, size in (("d_model", d_model), ("heads", heads)):
        _check_size(name, size)
    if (d_model, heads) not in MEMBERS:
        nearest = min(MEMBERS, key=lambda m: abs(m[0] - d_model) + abs(m[1] - heads))
        raise ValueError(
            f"no member of the family has d_model={d_model} and heads={heads}; use d_model in {WIDTHS} and "
            f"heads in {HEADS} (the nearest is d_model={nearest[0]}, heads={nearest[1]})"
        )
    return f"{d_model}x{heads}"


def load(folder: str | Path = DATA / "family") -> Family:
    """Load what the package ships of the family, once for each folder.

    Raises ValueError where there is no such folder.

    >>> load() is load()
    True
    """
    return _load(as_path("folder", folder))


@cache
def _load(folder: Path) -> Family:
    try:
        with np.load(folder / "attention.npz") as file:
            arrays = dict(file)
        results = read_results(folder / "results.csv")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ValueError(
            f"there is no {Path(error.filename).name} of the family; `make models` makes it"
        ) from None
    return Family(arrays, results)
