"""Training: the loss, the schedule of the learning rate, and one loop for both models.

A step is one update of the weights. What stands at step s was measured after s updates: `history.loss[0]` is
the loss of the untrained model.
"""

import inspect
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from lesson_tf.attention import _check_size, _describe, _is_float, _is_number, _is_whole
from lesson_tf.checkpoints import describe_run, load_checkpoint, open_unfinished, save_checkpoint
from lesson_tf.transformer_config import _check_token_ids
from lesson_tf.transformer_layers import in_mode


def sequence_loss(
    logits: Float[Tensor, "batch length vocab"],
    target_ids: Int[Tensor, "batch length"],
    pad_id: int | None = None,
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy of the target tokens in nats a token; padding does not count.

    `logits[:, t]` are the scores for `target_ids[:, t]`. Label smoothing ε takes ε of the probability from
    the right token and spreads it over the whole vocabulary.

    Raises ValueError where the shapes disagree, an id is outside the vocabulary, or all targets are padding.

    Source: Vaswani et al. (2017), section 5.4; Szegedy et al. (2016), section 7 (label smoothing).

    >>> sequence_loss(torch.zeros(1, 3, 8), torch.tensor([[5, 2, 0]]), pad_id=0)  # ln 8
    tensor(2.0794)
    """
    _check_logits(logits, target_ids, pad_id, label_smoothing)
    return F.cross_entropy(
        logits.flatten(0, 1),
        target_ids.flatten().long(),
        ignore_index=-100 if pad_id is None else pad_id,
        label_smoothing=float(label_smoothing),
    )


def label_smoothing_floor(vocab: int, label_smoothing: float) -> float:
    """Return the lowest loss that label smoothing leaves, in nats: the entropy of the smoothed target.

    The right one of V tokens is to get 1 − ε + ε/V, every other one ε/V. No model is below
    −(1 − ε + ε/V) ln(1 − ε + ε/V) − (V − 1) ε/V ln(ε/V), not even one that is always right.

    Raises ValueError where the vocabulary is empty or the smoothing is no share.

    Source: Szegedy et al. (2016), section 7.

    >>> round(label_smoothing_floor(vocab=15, label_smoothing=0.1), 3)
    0.556
    >>> label_smoothing_floor(vocab=15, label_smoothing=0.0)
    0.0
    """
    _check_size("vocab", vocab)
    _check_share("label_smoothing", label_smoothing)
    other = label_smoothing / vocab
    right = 1.0 - label_smoothing + other
    spread = (vocab - 1) * other * math.log(other) if other else 0.0
    return 0.0 - right * math.log(right) - spread


def learning_rate_factor(step: int, steps: int, warmup: int) -> float:
    """Return the share of the peak learning rate at a step: a linear rise, then half a cosine to 0.

    The rise takes `warmup` steps; the cosine would reach 0 at `steps`, one after the last.

    Raises ValueError where the step is not in 0 … steps or the warm-up not in 0 … steps − 1.

    Source: Vaswani et al. (2017), section 5.3 (warm-up); Loshchilov and Hutter (2017), equation 5 (cosine).

    >>> [round(learning_rate_factor(step, steps=8, warmup=4), 2) for step in range(9)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.85, 0.5, 0.15, 0.0]
    """
    _check_schedule(step, steps, warmup)
    if step < warmup:
        return float((step + 1) / warmup)
    return (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


def batch_loss(
    model: nn.Module, batch: tuple[Tensor, ...] | list[Tensor], label_smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Return the loss of one batch by teacher forcing: every next token of the target, in one pass.

    The last tensor of the batch is the target `(B, T)`. The model reads all that comes before it and the
    target's first T − 1 tokens, and answers for the last T − 1. `model.config.pad_id` marks padding.

    Raises ValueError where the batch holds no target of at least two tokens, or the model does not take so many
    tensors.

    Source: Williams and Zipser (1989) (teacher forcing).

    >>> from lesson_tf.transformer import Transformer, TransformerConfig
    >>> model = Transformer(TransformerConfig(source_vocab=9, target_vocab=7, d_model=8))
    >>> batch_loss(model, (torch.tensor([[5, 6]]), torch.tensor([[2, 4, 3]]))).shape
    torch.Size([])
    """
    _check_batch(batch)
    _check_takes(model, batch)
    device = next(model.parameters()).device
    *inputs, target = (tensor.to(device) for tensor in batch)
    logits = model(*inputs, target[:, :-1])
    pad_id = getattr(getattr(model, "config", None), "pad_id", None)
    return sequence_loss(logits, target[:, 1:], pad_id, label_smoothing)


@dataclass
class History:
    """What training saw: at each of `steps` the loss, the learning rate and the gradient's norm before clipping.

    `evaluations` are pairs (step, value).

    >>> History().loss
    []
    """

    steps: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    evaluations: list[tuple[int, float]] = field(default_factory=list)

    def append(self, loss: float, learning_rate: float, gradient_norm: float) -> None:
        """Note the next step."""
        self.steps.append(len(self.steps))
        self.loss.append(loss)
        self.learning_rate.append(learning_rate)
        self.gradient_norm.append(gradient_norm)


class TrainingDiverged(RuntimeError):  # noqa: N818 (what happened, not whose fault it is)
    """A loss or a gradient that is no finite number; the weights are those before its step.

    `step` and `learning_rate` say where it happened, `history` holds all steps before.

    >>> print(TrainingDiverged(math.nan, 0.003, 1.0, History()))
    step 0: the loss is nan, before any update. Look for the cause in the weights or in the first batch.
    """

    def __init__(self, loss: float, learning_rate: float, gradient_norm: float, history: History):
        self.step, self.learning_rate, self.history = len(history.steps), learning_rate, history
        what = f"the gradient's norm is {gradient_norm}"
        if not math.isfinite(loss):
            what = f"the loss is {loss}"
        if not history.steps:
            advice = ", before any update. Look for the cause in the weights or in the first batch."
        else:
            advice = (
                f" at learning rate {learning_rate:.3g}; the last finite loss was {history.loss[-1]:.4g}. "
                "The weights are those before this step. Begin anew with half the learning_rate, "
                "or with a longer warmup."
            )
        super().__init__(f"step {self.step}: {what}{advice}")


def train(
    model: nn.Module,
    batches,
    steps: int,
    *,
    learning_rate: float = 3e-3,
    warmup: int | None = None,
    weight_decay: float = 0.01,
    label_smoothing: float = 0.0,
    clip: float | None = 1.0,
    evaluate: Callable[[nn.Module], float] | None = None,
    evaluate_every: int = 100,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: int = 100,
    progress: bool | None = None,
) -> History:
    """Train the model in place by teacher forcing and AdamW, for a fixed number of steps.

    `batches[step]` is a tuple of tensors, the last of them the target, and depends on the step alone (see
    `batch_loss`). `learning_rate` is the peak; `warmup` the steps to reach it, None a tenth of all. Weight
    decay acts on matrices, not on biases and norms. Gradients longer than `clip` are shortened to it, None
    leaves them. `evaluate(model)` is called every `evaluate_every` steps and at the end, without dropout, and
    does not disturb training. `checkpoint` names a file, written every `checkpoint_every` steps and at the end:
    called again, train goes on from it, to the last bit on the same machine's CPU. `progress` shows a bar on
    stderr, None where that is a terminal.

    Raises ValueError where an argument is wrong or the checkpoint damaged or of another run, and
    TrainingDiverged, before the weights are touched, where a loss or a gradient is no finite number.

    Source: Vaswani et al. (2017), section 5; Loshchilov and Hutter (2019) (AdamW); Pascanu et al. (2013) (clipping).

    >>> from lesson_tf.transformer import Transformer, TransformerConfig
    >>> model = Transformer(TransformerConfig(source_vocab=9, target_vocab=9, d_model=8, dropout=0.0))
    >>> digits = torch.randint(4, 9, (64, 3), generator=torch.Generator().manual_seed(0))
    >>> history = train(model, [(digits, digits)] * 50, steps=50)
    >>> history.loss[-1] < history.loss[0]
    True
    """
    _check_material(model, batches, steps)
    if warmup is None:
        warmup = steps // 10
    settings = _check_settings(
        steps=steps,
        learning_rate=learning_rate,
        warmup=warmup,
        weight_decay=weight_decay,
        label_smoothing=label_smoothing,
        clip=clip,
    )
    _check_services(evaluate, evaluate_every, checkpoint, checkpoint_every, progress)
    optimizer = _adamw(model, learning_rate, weight_decay)
    scheduler = LambdaLR(optimizer, lambda step: learning_rate_factor(step, steps, warmup))
    history = History()
    if checkpoint is not None:
        _check_batch(batches[0])
        _check_can_be_written(Path(checkpoint))
        run = describe_run(model, batches[0], settings)
        history = _resume(Path(checkpoint), run, model, optimizer, scheduler)

    with in_mode(model, training=True), _bar(history, steps, progress) as bar:
        for step in bar:
            loss, norm = _backward(model, batches[step], label_smoothing, clip)
            measured = loss, scheduler.get_last_lr()[0], norm
            if not math.isfinite(loss) or not math.isfinite(norm):
                raise TrainingDiverged(*measured, history)
            optimizer.step()
            scheduler.step()
            history.append(*measured)
            done = step + 1
            if evaluate is not None and _due(done, evaluate_every, steps):
                history.evaluations.append((done, _evaluate(evaluate, model)))
            if checkpoint is not None and _due(done, checkpoint_every, steps):
                save_checkpoint(Path(checkpoint), run, history, model, optimizer, scheduler)
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
    return history


def _adamw(model: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """Pull matrices towards 0; biases and the scales of norms have no size that ought to be small."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": float(weight_decay)},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=float(learning_rate), fused=True)


def _backward(model, batch, label_smoothing: float, clip: float | None) -> tuple[float, float]:
    """Leave the clipped gradient in the parameters; return the loss and the norm before clipping."""
    model.zero_grad()
    loss = batch_loss(model, batch, label_smoothing)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), math.inf if clip is None else clip)
    return loss.item(), norm.item()


def _due(done: int, every: int, steps: int) -> bool:
    return done % every == 0 or done == steps


def _evaluate(evaluate: Callable[[nn.Module], float], model: nn.Module) -> float:
    """Measure without dropout, and give back the random numbers that measuring drew."""
    with in_mode(model, training=False), torch.no_grad(), torch.random.fork_rng(devices=[]):
        value = evaluate(model)
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if not isinstance(value, Real):
        raise ValueError(
            f"evaluate returned {_describe(value)}, which is no number; let it return one, such as the share that is right"
        )
    return float(value)


def _resume(path: Path, run: dict[str, str], model, optimizer, scheduler) -> History:
    """Set everything as the checkpoint has it, where there is one."""
    if not path.exists():
        return History()
    saved = load_checkpoint(path, run)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    scheduler.load_state_dict(saved["scheduler"])
    torch.set_rng_state(saved["random_state"])
    return History(**saved["history"])


def _bar(history: History, steps: int, progress: bool | None) -> tqdm:
    """Count the steps that are left. tqdm's own None shows a bar where stderr is a terminal."""
    done = len(history.steps)
    hidden = None if progress is None else not progress
    return tqdm(range(done, steps), initial=done, total=steps, unit="step", disable=hidden)


def _check_share(name: str, share) -> None:
    number = isinstance(share, Real) and not isinstance(share, bool)
    if not number or not 0 <= share < 1:
        nearest = "0.9" if number and share >= 1 else "0.0"
        raise ValueError(
            f"{name}={_describe(share)} is no share of the probability; "
            f"use a number from 0 up to but not including 1, such as {nearest}"
        )


def _check_logits(logits, target_ids, pad_id, label_smoothing) -> None:
    if not _is_float(logits) or logits.ndim != 3:
        raise ValueError(
            f"logits={_describe(logits)} are no scores; give a float tensor of shape (B, T, vocabulary)"
        )
    if not _is_whole(target_ids) or target_ids.shape != logits.shape[:2]:
        raise ValueError(
            f"target_ids={_describe(target_ids)} do not fit logits of shape {tuple(logits.shape)}; "
            f"give whole numbers of shape {tuple(logits.shape[:2])}, one token for each row of scores"
        )
    _check_token_ids(target_ids, logits.shape[-1])
    _check_share("label_smoothing", label_smoothing)
    whole = isinstance(pad_id, Integral) and not isinstance(pad_id, bool)
    if pad_id is not None and not (whole and abs(pad_id) < 2**63):
        raise ValueError(
            f"pad_id={_describe(pad_id)} is no token id; use a whole number such as 0, or None"
        )
    if not target_ids.numel() or (pad_id is not None and bool((target_ids == pad_id).all())):
        raise ValueError(
            f"all {target_ids.numel()} targets are padding (pad_id={pad_id}), so there is nothing to learn "
            "from; give at least one token"
        )


def _check_schedule(step, steps, warmup) -> None:
    _check_size("steps", steps)
    for name, value, most in (("warmup", warmup, steps - 1), ("step", step, steps)):
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not whole or not 0 <= value <= most:
            nearest = min(max(0, round(value)), most) if _is_number(value) else 0
            raise ValueError(
                f"{name}={_describe(value)} does not fit steps={steps}; "
                f"use a whole number from 0 to {most}, such as {nearest}"
            )


def _check_batch(batch) -> None:
    tensors = isinstance(batch, (tuple, list)) and all(isinstance(part, Tensor) for part in batch)
    if not tensors or not batch:
        raise ValueError(
            f"a batch of {_describe(batch)} cannot be read; give a tuple of tensors, the target last"
        )
    target = batch[-1]
    if not _is_whole(target) or target.ndim != 2 or target.shape[1] < 2:
        raise ValueError(
            f"the target of a batch, {_describe(target)}, has no next token to learn; give whole numbers "
            "of shape (B, T), T at least 2"
        )


def _check_takes(model, batch) -> None:
    """Refuse a batch of fewer or more tensors than the model's forward takes."""
    if not isinstance(model, nn.Module):
        raise ValueError(
            f"model={_describe(model)} has no weights to train; give an nn.Module such as Transformer"
        )
    signature = inspect.signature(model.forward)
    try:
        signature.bind(*batch)
    except TypeError:
        names = ", ".join(signature.parameters)
        raise ValueError(
            f"a batch of {len(batch)} tensors does not fit {type(model).__name__}, whose forward takes ({names}); "
            "give (source ids, target ids) to a Transformer, and (token ids,) to a LanguageModel"
        ) from None


def _check_can_be_written(path: Path) -> None:
    """Refuse, before the first step, a checkpoint that could not be written after the last one."""
    try:
        if not path.is_dir():
            with open_unfinished(path):
                return
    except (OSError, ValueError) as error:
        raise ValueError(
            f"checkpoint={_describe(str(path))} cannot be written ({error}); name a file in a folder of yours"
        ) from None
    raise ValueError(
        f"checkpoint={str(path)!r} is a folder; name a file in it, such as {str(path / 'model.ckpt')!r}"
    )


def _check_material(model, batches, steps) -> None:
    _check_size("steps", steps)
    if not isinstance(model, nn.Module):
        raise ValueError(
            f"model={_describe(model)} has no weights to train; give an nn.Module such as Transformer"
        )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(
            f"{type(model).__name__} has no weights to train; set requires_grad to True for those that are to change"
        )
    if not hasattr(batches, "__getitem__") or isinstance(batches, str | bytes | Tensor):
        raise ValueError(
            f"batches={_describe(batches)} cannot be asked for batches[step]; give a list, or an object "
            "with __getitem__ such as DateBatches"
        )
    if hasattr(batches, "__len__") and len(batches) < steps:
        raise ValueError(
            f"{len(batches)} batches are too few for steps={steps}; give one for each step, "
            f"or steps={len(batches)}"
        )


def _check_settings(**settings) -> dict:
    """Refuse what no run can have, and return the settings as plain numbers."""
    _check_schedule(0, settings["steps"], settings["warmup"])
    _check_share("label_smoothing", settings["label_smoothing"])
    if not _is_number(settings["weight_decay"]) or settings["weight_decay"] < 0:
        raise ValueError(
            f"weight_decay={_describe(settings['weight_decay'])} cannot shrink weights; "
            "use 0 or more, such as 0.01"
        )
    for name, usual in (("learning_rate", "0.003"), ("clip", "1.0, or None")):
        value = settings[name]
        if (name, value) != ("clip", None) and (not _is_number(value) or value <= 0):
            raise ValueError(
                f"{name}={_describe(value)} is no size; use a number above 0, such as {usual}"
            )
    counts = {name: int(settings[name]) for name in ("steps", "warmup")}
    return counts | {
        name: value if value is None else float(value)
        for name, value in settings.items()
        if name not in counts
    }


def _check_services(evaluate, evaluate_every, checkpoint, checkpoint_every, progress) -> None:
    if evaluate is not None and not callable(evaluate):
        raise ValueError(
            f"evaluate={_describe(evaluate)} cannot be called; give a function of the model, or None"
        )
    if checkpoint is not None and not isinstance(checkpoint, (str, os.PathLike)):
        raise ValueError(
            f"checkpoint={_describe(checkpoint)} is no path; give the name of a file, or None"
        )
    if progress is not None and not isinstance(progress, bool):
        raise ValueError(
            f"progress={_describe(progress)} is no yes or no; use True, False, or None for a terminal alone"
        )
    _check_size("evaluate_every", evaluate_every)
    _check_size("checkpoint_every", checkpoint_every)
