"""What the exercises of chapter 3 must satisfy: a sinusoidal table, an offset as a matrix."""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from lesson_tf import positional_encoding
from lesson_tf.checks.answers import Call
from lesson_tf.checks.closeness import same
from lesson_tf.checks.exercise import Exercise, Mistake, Property, Trial, Variant
from lesson_tf.checks.properties import agrees, has_shape

BASE = 10000.0


def _number(generator: Generator, low: int, high: int) -> int:
    return int(torch.randint(low, high + 1, (), generator=generator))


# --- Sinusoidal table ---------------------------------------------------------------------------------


def _table_calls(generator: Generator) -> list[Call]:
    # More columns than rows, and more rows than columns: swapped sizes do not pass.
    wide = {"length": _number(generator, 4, 8), "d_model": 2 * _number(generator, 5, 10)}
    long = {"length": _number(generator, 100, 199), "d_model": 2 * _number(generator, 2, 4)}
    return [Call(wide, "wide"), Call(long, "long")]


def _table(base: float = BASE) -> Callable[[int, int], Tensor]:
    return lambda length, d_model: positional_encoding.sinusoidal(length, d_model, base)


def _wrong_table(base, *, power=2.0, first=0, swapped=False, halves=False):
    def sinusoidal_table(length: int, d_model: int) -> Tensor:
        pair = torch.arange(d_model // 2, dtype=torch.float64)
        angles = torch.arange(first, first + length)[:, None] * base ** (-power * pair / d_model)
        waves = (angles.cos(), angles.sin()) if swapped else (angles.sin(), angles.cos())
        return torch.cat(waves, -1) if halves else torch.stack(waves, -1).flatten(-2)

    return sinusoidal_table


def _speed_of_each_column(base: float):
    def sinusoidal_table(length: int, d_model: int) -> Tensor:
        exponents = torch.arange(d_model, dtype=torch.float64) / d_model
        angles = torch.arange(length)[:, None] * base**-exponents
        return torch.where(torch.arange(d_model) % 2 == 0, angles.sin(), angles.cos())

    return sinusoidal_table


def _table_mistakes(base: float = BASE) -> tuple[Mistake, ...]:
    """Return the mistakes in a table of any base."""
    return (
        Mistake(
            "all sines stand first and all cosines after them. They should alternate: stack sine and "
            "cosine along a new last axis, then flatten the last two.",
            _wrong_table(base, halves=True),
        ),
        Mistake(
            "the exponent is twice what it should be, so the hands slow down too fast. That of pair i is "
            "2i / d_model; a range in steps of 2 holds 2i already.",
            _wrong_table(base, power=4.0),
        ),
        Mistake(
            "the exponent is half of what it should be. That of pair i is 2i / d_model.",
            _wrong_table(base, power=1.0),
        ),
        Mistake(
            "sine and cosine are swapped: the sine belongs in the even columns 0, 2, 4 and so on.",
            _wrong_table(base, swapped=True),
        ),
        Mistake(
            "the positions are counted from 1; the first row belongs to position 0.",
            _wrong_table(base, first=1),
        ),
        Mistake(
            "each column has a speed of its own. A sine and the cosine beside it belong to one hand: use "
            "d_model / 2 speeds, each for two columns.",
            _speed_of_each_column(base),
        ),
        Mistake(
            "two at once: all sines stand first and all cosines after them, and the exponent is twice "
            "what it should be.",
            _wrong_table(base, halves=True, power=4.0),
        ),
    )


sinusoidal_table = Exercise(
    name="Sinusoidal table",
    attempt="sinusoidal_table",
    reference=_table(),
    calls=_table_calls,
    properties=(
        has_shape("The table has a row for each position: (length, d_model)."),
        agrees(
            "Position 0 reads 0, 1, 0, 1, …: every hand starts at angle 0.",
            pick=lambda table: table[0],
            weight=1,
        ),
        agrees(
            "The first two columns are sine and cosine of the position itself.",
            pick=lambda table: table[:, :2],
            weight=1,
        ),
        agrees("Each further hand is slower, by the right factor.", on=("wide",)),
        agrees("So it is at positions of 100 and more.", on=("long",), weight=1),
    ),
    mistakes=_table_mistakes(),
    variants=tuple(
        Variant(
            f"In your variant the base is {base:,.0f} instead of 10,000.",
            _table(base),
            _table_mistakes(base),
        )
        # Not 100: with twice the exponent, a mistake, it would be the published base.
        for base in (200.0, 500.0, 1000.0, 50_000.0, 500_000.0)
    ),
)

# --- Offset as rotation -------------------------------------------------------------------------------


def _offset_calls(generator: Generator) -> list[Call]:
    def call(label: str, length: int, d_model: int, k: int) -> Call:
        # The base is drawn, so that the speeds must be read off the table.
        base = float(_number(generator, 50, 20_000))
        table = positional_encoding.sinusoidal(length, d_model, base)
        return Call({"table": table, "k": k}, label)

    return [
        call("within", _number(generator, 9, 12), 6, _number(generator, 2, 5)),
        call("still", 5, 4, 0),
        call("back", _number(generator, 6, 8), 10, -_number(generator, 2, 5)),
        call("beyond", 5, 8, _number(generator, 20, 40)),
    ]


def _blocks(cos: Tensor, sin: Tensor) -> Tensor:
    """Return the matrix that turns each pair of (sine, cosine) on by its angle."""
    return torch.block_diag(*torch.stack((cos, sin, -sin, cos), dim=-1).reshape(-1, 2, 2))


def _offset_matrix(table: Tensor, k: int) -> Tensor:
    step = torch.atan2(table[1, 0::2].double(), table[1, 1::2].double())
    return _blocks((k * step).cos(), (k * step).sin()).to(table.dtype)


def _one_step(table: Tensor, k: int) -> Tensor:
    return _blocks(table[1, 1::2], table[1, 0::2])


def _in_halves(table: Tensor, k: int) -> Tensor:
    pairs = torch.arange(table.shape[1]).view(-1, 2).T.flatten()
    return _offset_matrix(table, k)[pairs][:, pairs]


def _for_position_zero(table: Tensor, k: int) -> Tensor:
    return torch.outer(table[k], table[0]) / table[0].square().sum()


def _moves_the_rows(trials: Sequence[Trial]) -> str | None:
    """Complain if a matrix does not take each row of its table to the row k further on."""
    for trial in trials:
        table, k = trial.call.arguments["table"], trial.call.arguments["k"]
        matrix = trial.value
        if not isinstance(matrix, Tensor) or matrix.shape != trial.expected.shape:
            return f"With {trial.call.words()} there is no matrix of the right shape."
        if not same(table[:-k].double() @ matrix.double().mT, table[k:]):
            return f"With {trial.call.words()} some row t does not come to row t + k."
    return None


offset_rotation = Exercise(
    name="Offset as rotation",
    attempt="offset_matrix",
    reference=_offset_matrix,
    calls=_offset_calls,
    properties=(
        has_shape("The matrix is square: (d_model, d_model)."),
        agrees("With k = 0 nothing moves.", on=("still",), weight=1),
        Property("It takes every row of the table k rows on.", _moves_the_rows, ("within",), 3),
        agrees("With a negative k it goes back.", on=("back",), weight=1),
        agrees("It is right for a k that leaves the table.", on=("beyond",)),
    ),
    mistakes=(
        Mistake(
            "the hands turn the wrong way, to t − k: the two sines of each block have each other's sign. "
            "Or the matrix is made for rows, `table @ M`; here positions are columns, `M @ p`.",
            lambda table, k: _offset_matrix(table, k).mT,
        ),
        Mistake(
            "the matrix depends on the position: it is right for position 0 alone. Build it from the "
            "angles by which the hands turn, which are the same everywhere.",
            _for_position_zero,
        ),
        Mistake(
            "row k of the table is read as the angle: a k beyond the table has no row, and a negative k "
            "takes a row from the end. Read the angle of one step in row 1, and turn by it k times.",
            lambda table, k: _blocks(table[k, 1::2], table[k, 0::2]),
        ),
        Mistake(
            "this is the matrix of one step, whatever k is: turn by k times its angle.",
            _one_step,
        ),
        Mistake(
            "`**` raises every entry by itself. To turn k times, multiply the matrix with itself: "
            "`torch.linalg.matrix_power`.",
            lambda table, k: _one_step(table, k) ** k,
        ),
        Mistake(
            "the matrix of one step is multiplied by k: that makes the hands longer. It is the angle that "
            "grows k-fold.",
            lambda table, k: _one_step(table, k) * k,
        ),
        Mistake(
            "a negative k does nothing: to go back, turn the other way, by k times the angle.",
            lambda table, k: _offset_matrix(table, max(k, 0)),
        ),
        Mistake(
            "the base is taken to be 10,000; here each table has its own. Read the angle of one step in row 1.",
            lambda table, k: _offset_matrix(_table()(2, table.shape[1]), k),
        ),
        Mistake(
            "column i is paired with column i + d_model / 2. In the table, a sine and its cosine stand "
            "side by side: the blocks are 2 by 2, along the diagonal.",
            _in_halves,
        ),
    ),
)
