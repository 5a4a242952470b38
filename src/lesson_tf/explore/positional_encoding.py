"""The explorer of sinusoidal positional encoding."""

import math

import torch
from torch.nn.functional import cosine_similarity

from lesson_tf.explore.controls import Choice, Slider
from lesson_tf.explore.explorer import Explorer, Prediction, State
from lesson_tf.explore.words import words_for
from lesson_tf.positional_encoding import sinusoidal

LENGTH = 128


def waves(d_model: int = 64, position: int = 50, base: int = 10000) -> Explorer:
    """Explore the waves of sinusoidal positions, and how similar two positions are.

    `d_model` is 4 to 128 and even, `position` 0 to 127. Raises `ValueError` for other values.

    >>> waves(position=100)
    Explorer waves: d_model=64, position=100, base=10000
    >>> waves().state(position=100).sentence[:54]
    'Position 100 against position 0: cosine 0.56 with d_mo'
    """
    controls = (
        Slider("d_model", 64, low=4, high=128, step=2, stops=(16, 32, 64, 128)),
        Slider("position", 50, low=0, high=LENGTH - 1, stops=tuple(range(LENGTH))),
        Choice("base", 10000, stops=(100, 1000, 10000, 100000)),
    )
    explorer = Explorer(
        "waves", _waves, controls, "wave_views", height=6.8, prediction=_prediction()
    )
    return explorer.at(d_model=d_model, position=position, base=base)


def _waves(d_model: int, position: int, base: int) -> State:
    table = sinusoidal(LENGTH, d_model, float(base))
    similarity = _similarity(table)
    step = max(1, d_model // 16)
    dimensions = [2 * pair for pair in range(0, d_model // 2, step)][:4]
    shortest, longest = (_wavelength(table, pair) for pair in (0, d_model - 2))
    sentence = (
        f"Position {position} against position 0: cosine {similarity[position]:.2f} "
        f"with d_model {d_model}. The fastest wave repeats after {shortest:.1f} positions, "
        f"the slowest after {longest:,.0f}."
    )
    arguments = {
        "table": table,
        "dimensions": dimensions,
        "position": position,
        "similarity": similarity,
        "suptitle": f"Sinusoidal positions, d_model = {d_model}, base = {base:,}",
    }
    # Slow waves turn by less in one step than the page's arrays are rounded to.
    page = {"wavelengths": [_length_label(table, dimension) for dimension in dimensions]}
    return State(arguments, sentence.replace("cosine -", "cosine −"), page)


def _prediction() -> Prediction:
    """Ask which of two positions is nearer to the first; the answer is computed."""
    words = words_for("wave_views", "")
    near, far = _similarity(sinusoidal(LENGTH, 64))[[50, 100]].tolist()
    nearer = "50" if near > far else "100"
    because = words["because"].format(near=f"{near:.2f}", far=f"{far:.2f}")
    moves = {"d_model": 64, "position": 100, "base": 10000}
    return Prediction(words["question"], ("50", "100"), nearer, because, moves)


def _similarity(table: torch.Tensor) -> torch.Tensor:
    return cosine_similarity(table[:1], table)


def _length_label(table: torch.Tensor, dimension: int) -> str:
    length = _wavelength(table, dimension)
    return f"{length:.1f}" if length < 100 else f"{length:,.0f}"


def _wavelength(table: torch.Tensor, dimension: int) -> float:
    """Read how many steps a full turn takes from the first step's angle."""
    sine, cosine = table[1, dimension : dimension + 2]
    return 2 * math.pi / torch.atan2(sine, cosine).item()
