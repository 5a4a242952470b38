"""Two workers: one training step shared out over processes, beside the same step by one worker alone.

`torchrun --standalone --nproc-per-node 2 -m lesson_tf.experiments.two_workers` starts the workers. Each has its
own copy of the model and reads its own texts; `DistributedDataParallel` leaves every worker with the mean of all
their gradients. That is the gradient of the whole batch only if each worker's loss counts as many tokens as
any other's, or is weighted by how many it counts.

Over two machines, each runs the same with `--nnodes 2 --node-rank 0` (or 1) and `--master-addr`, the address of
machine 0, in the place of `--standalone`.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple

import torch
import torch.distributed as distributed
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lesson_tf.attention import _check_size, _describe
from lesson_tf.dates import source_tokenizer
from lesson_tf.training import sequence_loss
from lesson_tf.transformer import LanguageModel, TransformerConfig

COMMAND = "torchrun --standalone --nproc-per-node 2 -m lesson_tf.experiments.two_workers"
# Neighbours are as long as each other, so that two workers who take turns have as many tokens each.
TEXTS = (
    "Tuesday, March 5, 2024",
    "Monday, March 11, 2024",
    "30 September 2024",
    "21 September 1999",
    "令和6年3月5日",
    "平成7年8月9日",
    "2024/3/5",
    "5.3.2024",
)
IN_TURN, IN_ORDER, UNEQUAL = "in turn", "in order", "one for the last worker"
SHARES = (IN_TURN, IN_ORDER, UNEQUAL)
WEIGHTED, PLAIN = "weighted by tokens", "each worker's own mean"
WEIGHTINGS = (WEIGHTED, PLAIN)
LEARNING_RATE = 0.1
WAIT = timedelta(seconds=60)  # until a worker that waits for another gives up


class Step(NamedTuple):
    """What one training step computes: the loss, its gradient, and the weights after the step, each in one row.

    >>> Step(1.5, torch.zeros(3), torch.ones(3)).loss
    1.5
    """

    loss: float
    gradient: Float[Tensor, " parameters"]
    weights: Float[Tensor, " parameters"]


def new_model() -> LanguageModel:
    """Make the model that takes the step, the same in every process.

    It has no dropout: two workers would draw other random numbers than one does.

    >>> sum(weight.numel() for weight in new_model().parameters())
    113152
    """
    vocab = len(source_tokenizer())
    # Each process has random numbers of its own; the seed makes them equal here, and only here.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LanguageModel(
            TransformerConfig(vocab, vocab, dropout=0.0, norm_first=True, pad_id=_pad_id())
        )


def new_batch() -> Int[Tensor, "batch length"]:
    """Make the batch: eight dates as people write them, long and short, padded to one length.

    >>> new_batch().shape
    torch.Size([8, 23])
    """
    tokenizer = source_tokenizer()
    rows = [[tokenizer.bos_id, *tokenizer.encode(text)] for text in TEXTS]
    length = max(map(len, rows))
    return torch.tensor([row + [_pad_id()] * (length - len(row)) for row in rows])


def share_out(texts: int, workers: int, shares: str = IN_TURN) -> list[list[int]]:
    """Say which texts each worker reads: in turn, as torch's DistributedSampler does; in order; or one for the last.

    Raises ValueError for other shares, and for fewer texts than workers.

    >>> share_out(4, 2, "in turn"), share_out(4, 2, "in order"), share_out(4, 2, "one for the last worker")
    ([[0, 2], [1, 3]], [[0, 1], [2, 3]], [[0, 1, 2], [3]])
    """
    _check_choice("shares", shares, SHARES)
    _check_size("workers", workers)
    _check_size("texts", texts)
    if texts < workers:
        raise ValueError(
            f"texts={texts} are too few for workers={workers}; use at most {texts} workers"
        )
    if shares == IN_TURN:
        return [list(range(i, texts, workers)) for i in range(workers)]
    ends = [texts * (i + 1) // workers for i in range(workers)]
    if shares == UNEQUAL:
        ends = [texts - workers + 1 + i for i in range(workers)]
    return [list(range(*each)) for each in zip([0, *ends[:-1]], ends, strict=True)]


def count_targets(token_ids: Int[Tensor, "batch length"]) -> int:
    """Count the tokens that are to be predicted: all but the first of each text, and no padding.

    >>> count_targets(new_batch()), count_targets(new_batch()[4:])
    (110, 32)
    """
    return int((token_ids[:, 1:] != _pad_id()).sum())


def step_alone(token_ids: Int[Tensor, "batch length"]) -> Step:
    """Take the step with one worker: all texts, the mean loss over all tokens.

    >>> step_alone(new_batch()).loss > 4
    True
    """
    model = new_model()
    loss = _mean_loss(model, token_ids)
    loss.backward()
    return _finish(model, loss.item())


def step_together(
    token_ids: Int[Tensor, "batch length"], shares: str = IN_TURN, weighting: str = WEIGHTED
) -> Step:
    """Take the step with all workers of the process group, this process being one of them.

    Every worker averages over its own n_i of the n tokens, and DistributedDataParallel averages the
    gradients of W workers. Weighted by W n_i / n, the losses' mean is that over all tokens; plain, a token of a
    worker that has few counts more than one of a worker that has many.

    Raises ValueError for other shares or weightings and where no process group was started.

    >>> with workers():  # not under torchrun: one worker, and all texts are its own
    ...     together = step_together(new_batch())
    >>> bool(torch.equal(together.gradient, step_alone(new_batch()).gradient))
    True
    """
    _check_choice("weighting", weighting, WEIGHTINGS)
    if not distributed.is_initialized():
        raise ValueError(f"no workers were started; run {COMMAND}, or use `with workers():`")
    rank, count = distributed.get_rank(), distributed.get_world_size()
    mine = token_ids[share_out(len(token_ids), count, shares)[rank]]
    model = DistributedDataParallel(new_model())
    loss = _mean_loss(model, mine)
    if weighting == WEIGHTED:
        loss = loss * (count * count_targets(mine) / _sum(count_targets(mine)))
    loss.backward()  # here the workers wait for each other, and the gradients travel
    return _finish(model.module, _sum(loss.item()) / count)


@contextmanager
def workers() -> Iterator[None]:
    """Join the workers that torchrun started, or be the only one; leave them at the end.

    Gloo is the way in which processors without graphics cards exchange tensors.

    >>> with workers():
    ...     distributed.get_world_size()
    1
    """
    alone = "RANK" not in os.environ
    if alone or os.environ.get("LOCAL_WORLD_SIZE") == os.environ["WORLD_SIZE"]:
        _stay_on_this_machine()
    store = distributed.HashStore() if alone else None
    place = {"store": store, "rank": 0, "world_size": 1} if alone else {}
    distributed.init_process_group("gloo", timeout=WAIT, **place)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def compare() -> list[str]:
    """Take the step in every way, and say in a line each how far it is from that of one worker.

    >>> with workers():
    ...     print(compare()[0])
    8 texts, 110 tokens to predict, by 1 worker; alone: loss 4.8301
    """
    token_ids, count = new_batch(), distributed.get_world_size()
    alone = step_alone(token_ids)
    lines = [
        f"{len(token_ids)} texts, {count_targets(token_ids)} tokens to predict, by {count} "
        f"worker{'s' if count > 1 else ''}; alone: loss {alone.loss:.4f}",
        f"{'texts':25}{'tokens':15}{'averaged':24}{'loss':10}{'differs by':12}{'gradient by':13}weights by",
    ]
    for shares in SHARES:
        tokens = [
            count_targets(token_ids[each]) for each in share_out(len(token_ids), count, shares)
        ]
        for weighting in WEIGHTINGS:
            step = step_together(token_ids, shares, weighting)
            lines.append(
                f"{shares:25}{' + '.join(map(str, tokens)):15}{weighting:24}{step.loss:<10.4f}"
                f"{abs(step.loss - alone.loss):<12.1e}{_furthest(step.gradient, alone.gradient):<13.1e}"
                f"{_furthest(step.weights, alone.weights):.1e}"
            )
    return lines


def main() -> None:
    """Compare, and let the first worker print; run by torchrun."""
    torch.set_num_threads(1)
    with workers():
        lines = compare()
        if distributed.get_rank() == 0:
            print("\n".join(lines))


def _mean_loss(model: nn.Module, token_ids: Tensor) -> Tensor:
    return sequence_loss(model(token_ids[:, :-1]), token_ids[:, 1:], _pad_id())


def _finish(model: nn.Module, loss: float) -> Step:
    """Collect the gradient, and move the weights against it."""
    gradient = torch.cat([weight.grad.flatten() for weight in model.parameters()])
    torch.optim.SGD(model.parameters(), lr=LEARNING_RATE).step()
    return Step(loss, gradient, torch.cat([w.detach().flatten() for w in model.parameters()]))


def _sum(value: int | float) -> float:
    """Add up a number over all workers."""
    total = torch.tensor(float(value), dtype=torch.float64)
    distributed.all_reduce(total)
    return total.item()


def _furthest(one: Tensor, other: Tensor) -> float:
    """Return the largest difference that any worker sees."""
    difference = (one - other).abs().max()
    distributed.all_reduce(difference, distributed.ReduceOp.MAX)
    return difference.item()


def _pad_id() -> int:
    return source_tokenizer().pad_id


def _stay_on_this_machine() -> None:
    """Let gloo use the loopback interface, unless told otherwise: the machine's name may have no address."""
    for _, name in socket.if_nameindex():
        if name in ("lo", "lo0"):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)


def _check_choice(name: str, choice, choices: tuple[str, ...]) -> None:
    if not isinstance(choice, str) or choice not in choices:
        raise ValueError(f"{name}={_describe(choice)} was not tried; use one of {choices}")


if __name__ == "__main__":
    main()
