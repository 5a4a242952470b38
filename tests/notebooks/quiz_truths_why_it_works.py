"""What is true of each choice in the quizzes on why it works, computed without the text of the quizzes."""

import math
from functools import cache

import torch
from quizzes import truth

from lesson_tf.experiments import long_range, memory, parallelism, scaling_law, two_workers
from lesson_tf.experiments.parallelism import FUSED, WIDTH
from lesson_tf.training import train

torch.set_num_threads(1)  # small models gain nothing from more, and wait for it on a busy machine


class OneGap:
    """One card and one question, always equally far apart."""

    def __init__(self, gap: int):
        self.gap = gap

    def __getitem__(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw the sequences of a step."""
        ids, answers = long_range.draw(32, self.gap, step, cards=1, asked=0.0)
        return ids, torch.cat((answers[:, :1], answers), dim=1)


@truth("why_it_works/long_range", 1)
def a_faint_gradient_hinders_the_beginning() -> dict[str, bool]:
    """Read what trained LSTMs recall, train two for 120 steps, and measure gradients in float64."""
    rows, far = long_range.results(), long_range.GAPS.index(256)
    recalled = long_range.by_gap(rows, "LSTM")[:, far].min()
    untrained = long_range.by_gap(rows, "LSTM", "untrained")[:, far].max()
    last = {}
    for gap in (4, 32):
        torch.manual_seed(0)
        model = long_range.Reader(long_range.RecurrentModel(64, 124, forget_bias=1.0))
        settings = {"learning_rate": 1e-2, "warmup": 10, "progress": False}
        last[gap] = sum(train(model, OneGap(gap), 120, **settings).loss[-10:]) / 10
    begins = untrained < 1e-20 and last[4] < math.log(8) - 1 and last[32] > math.log(8) - 0.05
    fresh = long_range.new_model("LSTM")  # gradient_norm works in float64
    faint = long_range.gradient_norm(fresh, 256) < 1e-15 * long_range.gradient_norm(fresh, 4)
    return {"a": bool(recalled < 0.5), "b": bool(begins), "c": not faint}


@truth("why_it_works/long_range", 2)
def twice_the_keys_leave_a_third() -> dict[str, bool]:
    """Take the softmax over one key that leads, and 511, then 1,023 others."""
    lead = torch.tensor(511.0).log()
    weights = [torch.cat((lead[None], torch.zeros(n))).softmax(dim=0)[0] for n in (511, 1023)]
    assert torch.isclose(weights[0], torch.tensor(0.5))
    near = {"a": 1 / 3, "b": 1 / 4, "c": 1 / 2}
    return {letter: bool(abs(weights[1] - share) < 0.01) for letter, share in near.items()}


@cache
def counted() -> dict[str, dict[int, float]]:
    """Read work, chain and time of the fused layer and of the LSTM at equal width."""
    rows = parallelism.results()
    names = [who + each for who in ("", "lstm_") for each in ("multiply_adds", "chain", "total_ms")]
    return {name: parallelism.column(rows, WIDTH, FUSED, name) for name in names}


@truth("why_it_works/parallelism", 1)
def one_thread_does_all_the_work() -> dict[str, bool]:
    """Compare the work at 16 tokens by formula, and the time that was measured."""
    d, tokens = 64, 16
    work = 8 * tokens * d**2 / (4 * tokens * d**2 + 2 * tokens**2 * d)
    time = counted()["lstm_total_ms"][tokens] / counted()["total_ms"][tokens]
    return {
        "a": time > 8,
        "b": time < 1,
        "c": 1 < time < 2 and 1 < work < 2,
    }


@truth("why_it_works/parallelism", 2)
def more_sequences_fill_the_processors() -> dict[str, bool]:
    """Compute the bound of one LSTM at 1,024 tokens for other processors and other batches."""
    work, chain = (counted()[f"lstm_{name}"][1024] for name in ("multiply_adds", "chain"))

    def tokens_a_step(processors: float, sequences: int) -> float:
        return 1024 * sequences / max(work * sequences / processors, chain)

    usual = tokens_a_step(1e6, 1)
    return {
        "a": tokens_a_step(2e6, 1) > 1.01 * usual,
        "b": tokens_a_step(1e6, 8) > 4 * usual,
        "c": tokens_a_step(1e6, 1) < 1.01 * tokens_a_step(1, 1),
    }


@truth("why_it_works/parallelism", 3)
def writing_strings_chains_together() -> dict[str, bool]:
    """Let a self-attention layer read its own outputs, and count the longest chain."""
    torch.manual_seed(0)
    _, attend = parallelism.new_layer(parallelism.STEPWISE)

    def chain(length: int) -> int:
        x = torch.randn(1, 1, 64, requires_grad=True)
        while x.shape[1] < length:
            x = torch.cat((x, attend(x)[:, -1:]), dim=1)
        return parallelism.longest_chain(x)

    eight, sixteen, thirty_two = map(chain, (8, 16, 32))
    first, second = sixteen - eight, thirty_two - sixteen
    return {"a": second == 2 * first > 0, "b": first == second == 0, "c": second == first > 0}


@truth("why_it_works/scaling_law", 1)
def an_interval_presupposes_its_law() -> dict[str, bool]:
    """Predict the seventh model from five, and one a hundred times larger by two laws."""
    rows = scaling_law.results()
    sizes, by_seed = scaling_law.losses_by_size(rows)
    losses = by_seed.mean(dim=1)

    def holds(draws: int) -> bool:
        laws = scaling_law.resample_power_laws(sizes[:5], losses[:5], draws=draws)
        low, high = scaling_law.interval(laws(sizes[6]))
        return bool(low < losses[6] < high)

    far = 100 * sizes[6]
    line = scaling_law.resample_power_laws(sizes, losses)
    other = scaling_law.fit_power_law(sizes, losses, floor=True)
    low, high = scaling_law.interval(line(far))
    return {"a": holds(1000), "b": holds(4000), "c": not low < other(far) < high}


@truth("why_it_works/scaling_law", 2)
def uncertainty_bounds_every_loss() -> dict[str, bool]:
    """Compare a text's entropy with the loss of many models of it: by Gibbs' inequality, none is lower.

    That a claim with such a lower loss is refuted, and by nothing else here, follows from the bound.
    """
    torch.manual_seed(0)
    text = torch.randn(50).double().softmax(dim=0)
    uncertainty = -(text * text.log()).sum()
    models = (text.log() + torch.linspace(0, 3, 500)[:, None] * torch.randn(500, 50)).log_softmax(
        -1
    )
    losses = -(text * models).sum(dim=-1)
    none_is_lower = bool((losses >= uncertainty - 1e-9).all())
    some_are_higher = bool((losses > uncertainty + 0.1).any())
    return {"a": none_is_lower, "b": not some_are_higher, "c": not none_is_lower}


@truth("why_it_works/scaling_law", 3)
def a_factor_tilts_no_line() -> dict[str, bool]:
    """Fit the seven losses by least squares in logarithms, against N and against 6ND."""
    sizes, by_seed = scaling_law.losses_by_size(scaling_law.results())
    tokens = {int(row["tokens"]) for row in scaling_law.results()}
    y = by_seed.mean(dim=1).double().log()

    def exponent(axis: torch.Tensor) -> float:
        x = axis.double().log() - axis.double().log().mean()
        return -((x * y).sum() / x.square().sum()).item()

    [read] = tokens
    by_size, by_rule = exponent(sizes), exponent(6 * sizes * read)
    return {
        "a": math.isclose(by_rule, by_size / 6, rel_tol=0.01),
        "b": math.isclose(by_rule, by_size, rel_tol=1e-6),
        "c": by_rule > 1.01 * by_size,
    }


@truth("why_it_works/workers_and_memory", 1)
def short_texts_get_a_larger_say() -> dict[str, bool]:
    """Take the gradients of two workers with four texts each, and average them plainly and by tokens."""
    batch = two_workers.new_batch()
    parts = [batch[:4], batch[4:]]  # the long texts come first
    counts = [two_workers.count_targets(part) for part in parts]
    gradients = [two_workers.step_alone(part).gradient for part in parts]
    alone = two_workers.step_alone(batch).gradient
    weighted = sum(n / sum(counts) * g for n, g in zip(counts, gradients, strict=True))
    plain, by_tokens = (
        (each - alone).norm() / alone.norm() for each in (sum(gradients) / 2, weighted)
    )
    larger_say = counts[0] > counts[1] and 1 / (2 * counts[1]) > 1 / (2 * counts[0])
    return {
        "a": bool(plain < 1e-6),
        "b": bool(1e-9 < plain < 1e-4),
        "c": larger_say and bool(plain > 0.1) and bool(by_tokens < 1e-4),
    }


@truth("why_it_works/workers_and_memory", 2)
def fused_saves_memory_and_no_work() -> dict[str, bool]:
    """Compare bytes and multiply-adds at 2,048 tokens with those at 1,024."""
    rows = parallelism.results()

    def growth(layer: str, name: str) -> float:
        column = parallelism.column(rows, WIDTH, layer, name)
        return column[2048] / column[1024]

    memory_is_linear = growth(FUSED, "saved_bytes") < 2.05
    work_is_linear = growth(FUSED, "multiply_adds") < 2.05
    rows = [row for row in memory.results() if row["length"] == "2048"]
    kept = {row["path"]: int(row["activations"]) for row in rows}
    return {
        "a": memory_is_linear and not work_is_linear,
        "b": memory_is_linear and work_is_linear,
        "c": not kept["fused"] < kept["step by step"],
    }


@truth("why_it_works/workers_and_memory", 3)
def workers_share_texts_and_not_tokens() -> dict[str, bool]:
    """Try to share out one text, then one text for each of four workers."""
    try:
        cut = bool(two_workers.share_out(1, 4))
    except ValueError:
        cut = False
    [own, *_] = two_workers.share_out(4, 4)
    gain = (1 / len(own)) ** 0.5  # what a worker's memory holds, for whole texts, by the square
    return {"a": cut, "b": not cut and gain == 1, "c": gain == 2}
