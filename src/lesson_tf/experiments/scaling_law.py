"""A scaling law: a family of language models from 3 thousand to a million parameters, each trained on as many tokens.

All read torch's documentation in the book's own byte-pair tokens, in the same windows in the same order. A power
law a · N^−b is fitted to the loss on held-out texts, alone and above a floor that no size goes below.
"""

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lesson_tf import language_model
from lesson_tf.attention import _check_size, _describe
from lesson_tf.corpus import check_torch_documentation, split_texts, torch_documentation
from lesson_tf.model_files import DATA
from lesson_tf.recipes import Recipe, read_results, train_and_time, write_results
from lesson_tf.training import sequence_loss
from lesson_tf.transformer import LanguageModel, TransformerConfig
from lesson_tf.vocabulary import check_seed

SIZES = ((16, 1), (32, 1), (32, 2), (48, 2), (64, 3), (96, 3), (128, 5))  # d_model, layers
SEEDS = (0, 1, 2)
STEPS = 600
LENGTH, BATCH_SIZE = 64, 16  # tokens in a window, windows in a step
EVALUATE_EVERY = 50  # steps
# By d_model; chosen on seed 99 in 300 steps, by the loss on held-out texts: of 0.003 … 0.2 for 16, of 0.01 … 0.1 for
# 32, of 0.003 … 0.03 for 64, of 0.001 … 0.01 for 128, and in between for the others. One rate for all would have
# made the small models worse than they are: at 0.003 the smallest was at 5.15, at 0.1 at 3.54.
LEARNING_RATES = {16: 0.1, 32: 0.06, 48: 0.03, 64: 0.02, 96: 0.01, 128: 0.006}
_EVALUATED_SEED = 2**30  # of the held-out windows on which losses are followed
_EXPONENTS = torch.arange(1, 4001, dtype=torch.float64) / 2000  # tried for a law with a floor


class PowerLaw(NamedTuple):
    """A loss that falls with size: floor + factor · N^−exponent. Numbers, or tensors with one law an entry."""

    factor: float | Float[Tensor, " laws"]
    exponent: float | Float[Tensor, " laws"]
    floor: float | Float[Tensor, " laws"]

    def __call__(self, size):
        """Return the loss that the law states for a size.

        >>> PowerLaw(factor=4.0, exponent=0.5, floor=1.0)(16)
        2.0
        """
        return self.floor + self.factor * size**-self.exponent


def results(path: Path = DATA / "experiments" / "scaling_law.csv") -> list[dict[str, str]]:
    """Read what was measured: one row for each size and seed, all values as text.

    `parameters` leave out the embeddings; losses are in nats a token. `held_out_loss` is on all texts that no
    training has seen, `after_…` on a fixed sample of them, on the way; `operations` are those of the whole
    training, counted, an addition and a multiplication apart.

    >>> len(results()) == len(SIZES) * len(SEEDS)
    True
    """
    return read_results(path)


def new_model(d_model: int, layers: int, vocab: int = 1024, seed: int = 0) -> LanguageModel:
    """Make a model of the family, untrained: four heads, a feed-forward part of 4 · d_model, rotary positions.

    Raises ValueError for sizes that are none.

    >>> count_parameters(new_model(d_model=16, layers=1))
    3312
    """
    _check_size("layers", layers)
    check_seed(seed)
    torch.manual_seed(int(seed))
    return LanguageModel(
        TransformerConfig(
            source_vocab=vocab,
            target_vocab=vocab,
            d_model=d_model,
            heads=4,
            decoder_layers=layers,
            d_ff=4 * d_model,
            dropout=0.0,
            norm_first=True,
            positions="rotary",
            pad_id=None,
            tie_embeddings=True,
        )
    )


def count_parameters(model: LanguageModel) -> int:
    """Count the parameters without the matrices that read and write tokens: the N of scaling laws.

    Source: Kaplan et al. (2020), section 2.1.

    >>> count_parameters(new_model(32, 2)) - count_parameters(new_model(32, 1))  # about 12 · 32²
    12704
    """
    _check_writes(model)
    layers = [*model.layers.parameters(), *model.norm.parameters()]
    return sum(weight.numel() for weight in layers)


def count_operations(model: LanguageModel, windows: Int[Tensor, "batch length"]) -> int:
    """Count additions and multiplications in the matrix products of one training step, forward and backward.

    Each of the N parameters multiplies and adds once for each token forward and twice backward, so that 6 · N · D
    is a rule of thumb. What it leaves out is counted here too: the output layer and attention's T².

    >>> windows = torch.zeros(1, 65, dtype=torch.long)
    >>> round(count_operations(new_model(16, 1), windows) / (6 * 3312 * 64), 1)
    6.5
    """
    _check_writes(model)
    # The record asks for the weights: the fused kernel's products are not counted on a CPU.
    with FlopCounterMode(display=False) as counter:
        sequence_loss(model(windows[:, :-1], record=[]), windows[:, 1:]).backward()
    model.zero_grad()
    return counter.get_total_flops()


def fit_power_law(
    sizes: Float[Tensor, " models"], losses: Float[Tensor, " models"], floor: bool = False
) -> PowerLaw:
    """Fit a · N^−b, or with a floor L∞ + a · N^−b, by least squares of the relative errors.

    Without a floor this is a straight line through the logarithms. With one, exponents from 0.0005 to 2 are
    tried; for each, floor and factor are a linear fit, and a floor below 0 counts as 0.

    Raises ValueError for fewer than three models, or four with a floor, and for what is not above 0.

    Source: Kaplan et al. (2020), equation 1.1; Hoffmann et al. (2022), equation 2 (with a floor).

    >>> sizes = torch.tensor([1e3, 1e4, 1e5, 1e6])
    >>> law = fit_power_law(sizes, 2 + 30 * sizes**-0.5, floor=True)
    >>> round(law.floor, 3), round(law.factor, 3), law.exponent
    (2.0, 30.0, 0.5)
    """
    sizes, losses = _checked(sizes, losses, floor)
    fit = _fit_floor if floor else _fit_line
    return PowerLaw(*(value.item() for value in fit(sizes, losses)))


def resample_power_laws(
    sizes: Float[Tensor, " models"],
    losses: Float[Tensor, " models"],
    floor: bool = False,
    draws: int = 1000,
    seed: int = 0,
) -> PowerLaw:
    """Fit the law again to losses that might as well have been measured; give back all of these laws.

    A residual bootstrap: to the fitted law are added relative errors drawn, with replacement, from those that the
    fit left, enlarged by √(n / (n − p)) for its p constants. The middle 95 % of the laws show how far the constants
    can be trusted, if the law is the right one. From 5 to 7 models they are a rough guide and rather too narrow:
    the truth lies outside more often than in 5 of 100 cases. They hold no error of a new model either.

    Raises ValueError as `fit_power_law`, and for draws or a seed that are none.

    Source: Efron and Tibshirani (1993), section 9.4.

    >>> sizes = torch.tensor([1e3, 1e4, 1e5, 1e6])
    >>> laws = resample_power_laws(sizes, torch.tensor([4.0, 3.1, 2.5, 2.0]))
    >>> laws.exponent.shape, bool(laws.exponent.std() < 0.01)
    (torch.Size([1000]), True)
    """
    sizes, losses = _checked(sizes, losses, floor)
    _check_size("draws", draws)
    check_seed(seed)
    fit = _fit_floor if floor else _fit_line
    fitted = PowerLaw(*fit(sizes, losses))(sizes)
    errors = (losses / fitted).log()
    errors = errors * (len(sizes) / (len(sizes) - _constants(floor))) ** 0.5
    generator = torch.Generator().manual_seed(int(seed))
    drawn = errors[torch.randint(len(sizes), (draws, len(sizes)), generator=generator)]
    laws = [torch.stack(fit(sizes, fitted * error.exp())) for error in drawn]
    return PowerLaw(*torch.stack(laws).unbind(1))


def interval(values: Float[Tensor, " draws"], share: float = 0.95) -> tuple[float, float]:
    """Give the two numbers between which the middle share of the values lies.

    >>> [round(value, 6) for value in interval(torch.arange(101.0), share=0.9)]
    [5.0, 95.0]
    """
    _check_share(share)
    rest = (1 - share) / 2
    places = torch.tensor([rest, 1 - rest], dtype=torch.float64)
    low, high = torch.quantile(values.double(), places).tolist()
    return low, high


def losses_by_size(
    rows: Sequence[dict[str, str]], column: str = "held_out_loss"
) -> tuple[Float[Tensor, " models"], Float[Tensor, "models seeds"]]:
    """Sort the losses by size: the parameters of each model, and a row of losses a model, a column a seed.

    `column` may be another one, such as operations.

    Raises ValueError for a column that was not measured, and where a size lacks a seed.

    >>> sizes, losses = losses_by_size(results())
    >>> sizes.shape, losses.shape
    (torch.Size([7]), torch.Size([7, 3]))
    """
    if not rows or column not in rows[0]:
        raise ValueError(
            f"column={_describe(column)} was not measured; use one of {list(rows[0]) if rows else []}"
        )
    found: dict[int, list[float]] = {}
    for row in rows:
        found.setdefault(int(row["parameters"]), []).append(float(row[column]))
    if len({len(values) for values in found.values()}) > 1:
        raise ValueError("a size lacks a seed; give all rows of `results`")
    sizes = sorted(found)
    return torch.tensor(sizes).double(), torch.tensor([found[size] for size in sizes]).double()


def course(row: dict[str, str]) -> tuple[Float[Tensor, " times"], Float[Tensor, " times"]]:
    """Read how one training went: the operations so far, and the loss on the sample of held-out windows.

    The learning rate falls to 0 at the end of the training and not before, so a loss on the way is not what a
    training of that length would reach.

    >>> operations, losses = course(results()[0])
    >>> losses.shape, bool(losses[0] > losses[-1])
    (torch.Size([12]), True)
    """
    after = {
        int(name.removeprefix("after_")): float(value)
        for name, value in row.items()
        if name.startswith("after_")
    }
    share = torch.tensor(list(after)).double() / int(row["steps"])
    return share * float(row["operations"]), torch.tensor(list(after.values())).double()


def recipes(quick: bool = False) -> list[Recipe]:
    """List one training for each size and seed, the longest first."""
    seeds, steps = (SEEDS[:1], 20) if quick else (SEEDS, STEPS)
    return [
        Recipe(
            f"scaling_law, d_model {d_model}, layers {layers}, seed {seed}",
            train_size,
            (d_model, layers, seed, steps),
        )
        for d_model, layers in reversed(SIZES)
        for seed in seeds
    ]


def train_size(
    folder: Path, d_model: int, layers: int, seed: int, steps: int = STEPS
) -> dict[str, str]:
    """Train one model of the family, and return its loss on what was held out, at the end and on the way.

    Raises ValueError for a size that is not of the family.
    """
    if (d_model, layers) not in SIZES:
        raise ValueError(
            f"d_model={d_model} with layers={layers} was not tried; use one of {SIZES}"
        )
    tokenizer, training, held_out = _tokens()
    model = new_model(d_model, layers, len(tokenizer), seed)
    end_id = tokenizer.vocabulary[language_model.END]
    batches = language_model.TextBatches(training, end_id, LENGTH, BATCH_SIZE, seed)
    [sample] = language_model.TextBatches(held_out, end_id, LENGTH, 64, _EVALUATED_SEED)[0]
    history, seconds = train_and_time(
        folder / f"scaling_law-{d_model}-{layers}-{seed}-{steps}.checkpoint",
        model,
        batches,
        steps,
        learning_rate=LEARNING_RATES[d_model],
        weight_decay=0.1,
        evaluate=partial(_sample_loss, sample),
        evaluate_every=EVALUATE_EVERY,
    )
    whole = [[end_id, *ids, end_id] for ids in held_out]
    return {
        "d_model": str(d_model),
        "layers": str(layers),
        "seed": str(seed),
        "steps": str(steps),
        "parameters": str(count_parameters(model)),
        "embedding_parameters": str(model.embedding.table.weight.numel()),
        "tokens": str(steps * BATCH_SIZE * LENGTH),
        "operations": str(steps * count_operations(model, batches[0][0])),
        "training_loss": f"{sum(history.loss[-50:]) / len(history.loss[-50:]):.4f}",
        "held_out_loss": f"{language_model.held_out_loss(model, whole, LENGTH):.4f}",
        **{f"after_{step}": f"{loss:.3f}" for step, loss in history.evaluations},
        "seconds": f"{seconds:.0f}",
    }


def publish(folder: Path, data: Path, measured: Sequence[dict[str, str]], command: str) -> None:
    """Write the results; no weights ship."""
    write_results(data / "scaling_law.csv", measured, command)


@cache
def _tokens():
    """Cut the documentation into tokens: the tokenizer, the ids to train on, and those held out."""
    texts = torch_documentation()
    check_torch_documentation(texts)
    tokenizer = language_model.load().tokenizer
    training, held_out = split_texts(texts)
    return (
        tokenizer,
        [tokenizer.encode(t) for t in training],
        [tokenizer.encode(t) for t in held_out],
    )


def _sample_loss(windows: Tensor, model: LanguageModel) -> float:
    return sequence_loss(model(windows[:, :-1]), windows[:, 1:]).item()


def _constants(floor: bool) -> int:
    return 3 if floor else 2


def _fit_line(sizes: Tensor, losses: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Fit a straight line through the logarithms, by least squares."""
    x, y = sizes.log(), losses.log()
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    return (y.mean() - slope * x.mean()).exp(), -slope, torch.zeros_like(slope)


def _fit_floor(sizes: Tensor, losses: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Try exponents; for each, floor and factor are a linear fit of (floor + factor · N^−b) / loss to 1."""
    # Sizes relative to their mean, so that the two columns of the linear fit are of one magnitude.
    middle = sizes.log().mean().exp()
    u, v = 1 / losses, (sizes / middle) ** -_EXPONENTS[:, None] / losses
    uu, uv, vv = u.square().sum(), v @ u, v.square().sum(dim=1)
    floor = ((u.sum() * vv - v.sum(dim=1) * uv) / (uu * vv - uv.square())).clamp(min=0.0)
    factor = (v.sum(dim=1) - floor * uv) / vv
    errors = (floor[:, None] * u + factor[:, None] * v - 1).square().sum(dim=1)
    best = errors.argmin()
    exponent = _EXPONENTS[best]
    return factor[best] * middle**exponent, exponent, floor[best]


def _check_writes(model) -> None:
    if not isinstance(model, LanguageModel):
        raise ValueError(
            f"model={_describe(type(model).__name__)} is not of the family; give a LanguageModel"
        )


def _check_share(share) -> None:
    number = isinstance(share, int | float) and not isinstance(share, bool)
    if not number or not 0 < share < 1:
        raise ValueError(f"share={_describe(share)} is no part of the values; use one such as 0.95")


def _checked(sizes, losses, floor: bool) -> tuple[Tensor, Tensor]:
    """Refuse what no law can be fitted to, and return the rest in float64."""
    for name, values in (("sizes", sizes), ("losses", losses)):
        same = isinstance(sizes, Tensor) and isinstance(values, Tensor) and values.ndim == 1
        if not same or values.shape != sizes.shape:
            raise ValueError(
                f"{name}={_describe(values)} do not fit; give two tensors, one number a model in each"
            )
        if not (values.isfinite() & (values > 0)).all():
            raise ValueError(
                f"{name} have no logarithm where they are 0 or below; use sizes and losses above 0"
            )
    if len(sizes.unique()) <= _constants(floor):
        raise ValueError(
            f"{len(sizes.unique())} sizes leave no error to judge {_constants(floor)} constants by; "
            f"give {_constants(floor) + 1} or more"
        )
    return sizes.double(), losses.double()
