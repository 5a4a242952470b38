import itertools
import math
import random
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from closeness import assert_close
from torch import nn

import lesson_tf.checkpoints
from lesson_tf.training import (
    History,
    TrainingDiverged,
    batch_loss,
    label_smoothing_floor,
    learning_rate_factor,
    sequence_loss,
    train,
)
from lesson_tf.transformer import LanguageModel, Transformer, TransformerConfig

STEPS, INTERRUPTED = 30, 17
CONFIG = dict(source_vocab=11, target_vocab=9, d_model=8, heads=2, d_ff=16, dropout=0.2)


class Batches:
    """Random batches, padded at their ends: a function of the step, which may fail at one step once."""

    def __init__(self, sources=True, fails_at=None, failure=RuntimeError, seed=0):
        self.sources, self.fails_at, self.failure, self.seed = sources, fails_at, failure, seed

    def __getitem__(self, step):
        if step == self.fails_at:
            raise self.failure(f"no batch {step}")
        generator = torch.Generator().manual_seed(1000 * self.seed + step)
        source = torch.randint(3, 11, (4, 6), generator=generator)
        target = torch.randint(3, 9, (4, 5), generator=generator)
        source[0, 4:], target[1, 3:] = 0, 0
        return (source, target) if self.sources else (target,)


class Bigram(nn.Module):
    """A model small enough to be trained by hand: a table and a bias."""

    def __init__(self, vocab=9):
        super().__init__()
        self.table = nn.Parameter(torch.randn(vocab, vocab, dtype=torch.float64))
        self.bias = nn.Parameter(torch.zeros(vocab, dtype=torch.float64))

    def forward(self, token_ids):
        return self.table[token_ids] + self.bias


def new_model(kind, **changes):
    torch.manual_seed(5)
    return {"encoder-decoder": Transformer, "decoder": LanguageModel}[kind](
        TransformerConfig(**CONFIG | changes)
    )


def bits(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


# The loss


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_loss_equals_the_formula_token_by_token(smoothing):
    logits = torch.randn(3, 4, 7, dtype=torch.float64)
    target = torch.tensor([[1, 2, 3, 0], [4, 0, 0, 0], [5, 6, 1, 2]])
    losses = []
    for b in range(3):
        for t in range(4):
            if target[b, t] == 0:
                continue
            scores = logits[b, t].tolist()
            normaliser = math.log(sum(math.exp(score) for score in scores))
            wanted = [
                smoothing / 7 + (1 - smoothing) * (v == target[b, t].item()) for v in range(7)
            ]
            losses.append(sum(p * (normaliser - s) for p, s in zip(wanted, scores, strict=True)))
    ours = sequence_loss(logits, target, pad_id=0, label_smoothing=smoothing).item()
    assert math.isclose(ours, sum(losses) / len(losses), rel_tol=1e-12)


def test_without_a_pad_id_every_token_counts():
    logits, target = torch.randn(2, 3, 5), torch.zeros(2, 3, dtype=torch.long)
    expected = -logits.log_softmax(-1)[..., 0].mean()
    assert_close(sequence_loss(logits, target), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_scores_at_padding_change_neither_loss_nor_gradient(smoothing):
    target = torch.tensor([[1, 2, 0, 0], [3, 4, 1, 0]])
    padded = target == 0
    logits = torch.randn(2, 4, 5)
    wild = torch.where(padded[..., None], 100 * torch.randn(2, 4, 5), logits)
    gradients, losses = [], []
    for scores in (logits, wild):
        scores.requires_grad_()
        losses.append(sequence_loss(scores, target, 0, smoothing))
        gradients.append(torch.autograd.grad(losses[-1], scores)[0])
    assert torch.equal(*losses)
    assert torch.equal(*gradients)
    assert not gradients[0][padded].any()
    assert gradients[0][~padded].any()


@pytest.mark.parametrize("kind", ["encoder-decoder", "decoder"])
def test_more_padding_changes_neither_loss_nor_gradients_of_a_model(kind):
    model = new_model(kind, dropout=0.0).double()
    batch = Batches(sources=kind == "encoder-decoder")[0]
    wider = tuple(F.pad(ids, (0, 3)) for ids in batch)
    results = []
    for given in (batch, wider):
        loss = batch_loss(model, given, 0.1)
        results.append((loss.detach(), torch.autograd.grad(loss, list(model.parameters()))))
    (loss, gradients), (loss_wider, gradients_wider) = results
    assert_close(loss_wider, loss)
    largest = max(gradient.abs().max() for gradient in gradients)
    for one, other in zip(gradients, gradients_wider, strict=True):
        assert (one - other).abs().max() <= 1e-12 * largest


def test_the_model_reads_the_target_up_to_each_token_and_answers_for_the_next():
    model, (target,) = Bigram(), Batches(sources=False)[0]
    log_probabilities = (model.table + model.bias).log_softmax(-1)
    rows = target.tolist()
    pairs = [pair for row in rows for pair in itertools.pairwise(row)]
    expected = -torch.stack([log_probabilities[a, b] for a, b in pairs]).mean()
    assert_close(batch_loss(model, (target,)), expected)  # no config, so that 0 is a token as well


@pytest.mark.parametrize("vocab", [2, 15, 1024])
@pytest.mark.parametrize("smoothing", [0.05, 0.1, 0.5, 0.99])
def test_the_floor_is_reached_and_nothing_lies_below(vocab, smoothing):
    floor = label_smoothing_floor(vocab, smoothing)
    target = torch.tensor([[1, 0, 1]])
    wanted = F.one_hot(target, vocab).double() * (1 - smoothing) + smoothing / vocab
    logits = wanted.log().requires_grad_()
    loss = sequence_loss(logits, target, label_smoothing=smoothing)
    assert math.isclose(loss.item(), floor, rel_tol=1e-9)
    assert torch.autograd.grad(loss, logits)[0].abs().max() < 1e-12
    for _ in range(20):
        nearby = logits.detach() + 0.3 * torch.randn_like(logits)
        assert sequence_loss(nearby, target, label_smoothing=smoothing).item() > floor


def test_training_approaches_the_floor_and_goes_no_lower():
    batch = (torch.tensor([[1, 2, 3, 4, 5, 6, 7, 8]] * 2),)
    history = train(Bigram(), [batch] * 300, 300, learning_rate=0.3, label_smoothing=0.1, clip=None)
    floor = label_smoothing_floor(9, 0.1)
    assert floor < history.loss[-1] < floor + 0.02
    assert min(history.loss) > floor


def test_the_floor_of_a_vocabulary_of_one_and_of_no_smoothing_is_zero():
    assert label_smoothing_floor(1, 0.3) == 0.0
    assert label_smoothing_floor(50, 0.0) == 0.0


# The schedule


@pytest.mark.parametrize(("steps", "warmup"), [(40, 10), (40, 0), (7, 6), (1, 0), (2, 1)])
def test_schedule_equals_the_schedulers_of_torch(steps, warmup):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps - warmup)
    expected = [(step + 1) / warmup for step in range(warmup)]
    while len(expected) < steps:
        expected.append(cosine.get_last_lr()[0])
        optimizer.step()
        cosine.step()
    ours = [learning_rate_factor(step, steps, warmup) for step in range(steps)]
    assert ours == pytest.approx(expected, abs=1e-12)
    assert max(ours) == 1.0
    assert min(ours) > 0.0
    assert learning_rate_factor(steps, steps, warmup) == 0.0


# The loop


def by_hand(model, batches, steps, learning_rate, warmup, weight_decay, smoothing, clip):
    """AdamW as Loshchilov and Hutter (2019) write it, algorithm 2, with a schedule, in plain arithmetic."""
    weights = [model.table.detach().clone(), model.bias.detach().clone()]
    means = [torch.zeros_like(w) for w in weights]
    squares = [torch.zeros_like(w) for w in weights]
    seen = []
    for step in range(steps):
        (target,) = batches[step]
        leaves = [w.clone().requires_grad_() for w in weights]
        logits = leaves[0][target[:, :-1]] + leaves[1]
        wanted = F.one_hot(target[:, 1:], 9).double() * (1 - smoothing) + smoothing / 9
        loss = -(wanted * logits.log_softmax(-1)).sum(-1).mean()
        gradients = torch.autograd.grad(loss, leaves)
        norm = math.sqrt(sum((g**2).sum().item() for g in gradients))
        gradients = [g * min(1.0, clip / (norm + 1e-6)) for g in gradients]
        rise = (step + 1) / warmup
        fall = 0.5 + 0.5 * math.cos(math.pi * (step - warmup) / (steps - warmup))
        rate = learning_rate * (rise if step < warmup else fall)
        seen.append((loss.item(), rate, norm))
        for i, gradient in enumerate(gradients):
            means[i] = 0.9 * means[i] + 0.1 * gradient
            squares[i] = 0.999 * squares[i] + 0.001 * gradient**2
            mean = means[i] / (1 - 0.9 ** (step + 1))
            square = squares[i] / (1 - 0.999 ** (step + 1))
            decay = weight_decay if i == 0 else 0.0  # the table decays, the bias does not
            weights[i] = weights[i] - rate * decay * weights[i]
            weights[i] = weights[i] - rate * mean / (square.sqrt() + 1e-8)
    return seen, weights


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("clip", [0.05, 1e9])
def test_every_step_equals_adamw_written_by_hand(smoothing, clip):
    model, batches = Bigram(), Batches(sources=False)
    seen, weights = by_hand(model, batches, 25, 0.02, 5, 0.3, smoothing, clip)
    history = train(
        model,
        batches,
        25,
        learning_rate=0.02,
        warmup=5,
        weight_decay=0.3,
        label_smoothing=smoothing,
        clip=clip,
    )
    assert history.steps == list(range(25))
    ours = zip(history.loss, history.learning_rate, history.gradient_norm, strict=True)
    for one, other in zip(ours, seen, strict=True):
        assert one == pytest.approx(other, rel=1e-9)
    assert_close(model.table.detach(), weights[0])
    assert_close(model.bias.detach(), weights[1])


def test_without_clip_gradients_stay_as_they_are():
    models = [Bigram() for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    for model, clip in zip(models, (None, 1e9), strict=True):
        train(model, Batches(sources=False), 5, clip=clip)
    assert_same_bits(bits(models[0]), bits(models[1]))


def test_warm_up_is_a_tenth_where_none_is_given():
    rates = train(Bigram(), Batches(sources=False), 20, learning_rate=1.0).learning_rate
    assert rates[:2] == [0.5, 1.0]
    assert rates[2:] == sorted(rates[2:], reverse=True)


def test_frozen_weights_stay():
    model = Bigram()
    model.table.requires_grad_(False)
    before = bits(model)
    train(model, Batches(sources=False), 5)
    assert torch.equal(model.table, before["table"])
    assert not torch.equal(model.bias, before["bias"])


@pytest.mark.parametrize("kind", ["encoder-decoder", "decoder"])
def test_both_models_learn_to_copy(kind):
    model = new_model(kind, dropout=0.0, d_model=16)
    target = torch.tensor([[1, 3, 4, 5, 6, 2], [1, 7, 8, 7, 2, 0]])
    batch = (target, target) if kind == "encoder-decoder" else (target,)
    history = train(model, [batch] * 60, 60, learning_rate=0.02)
    assert history.loss[-1] < 0.35 * history.loss[0]


def test_parts_are_in_their_modes_during_and_after():
    model = new_model("decoder")
    model.eval()
    model.layers[1].train()
    before = [part.training for part in model.modules()]
    modes = []

    def evaluate(model):
        modes.append((model.training, model.layers[0].training, torch.is_grad_enabled()))
        return torch.tensor(0.5)

    class Watched(Batches):
        def __getitem__(self, step):
            assert all(part.training for part in model.modules())
            return super().__getitem__(step)

    history = train(model, Watched(sources=False), 7, evaluate=evaluate, evaluate_every=3)
    assert modes == [(False, False, False)] * 3
    assert history.evaluations == [(3, 0.5), (6, 0.5), (7, 0.5)]
    assert [part.training for part in model.modules()] == before
    with pytest.raises(RuntimeError, match="no batch 2"):
        train(model, Batches(sources=False, fails_at=2), 5)
    assert [part.training for part in model.modules()] == before


def test_evaluating_does_not_disturb_training():
    runs = []
    for evaluate in (None, lambda model: torch.rand(5).sum().item()):
        model = new_model("encoder-decoder")
        history = train(model, Batches(), 10, evaluate=evaluate, evaluate_every=3)
        runs.append((history.loss, bits(model)))
    assert runs[0][0] == runs[1][0]
    assert_same_bits(runs[0][1], runs[1][1])


@pytest.mark.parametrize(("progress", "shown"), [(None, False), (False, False), (True, True)])
def test_a_bar_shows_where_it_is_wanted(capsys, progress, shown):
    train(Bigram(), Batches(sources=False), 3, progress=progress)
    out, err = capsys.readouterr()
    assert not out
    assert ("3/3" in err and "loss=" in err) == shown
    assert bool(err) == shown


# Interruption


def whole_run(kind):
    model = new_model(kind)
    torch.manual_seed(7)
    return train(model, Batches(kind == "encoder-decoder"), STEPS), bits(model)


def interrupt(kind, path, failure=RuntimeError, **options):
    model = new_model(kind)
    torch.manual_seed(7)
    batches = Batches(kind == "encoder-decoder", INTERRUPTED, failure)
    with pytest.raises(failure, match=f"no batch {INTERRUPTED}"):
        train(model, batches, STEPS, checkpoint=path, checkpoint_every=5, **options)
    return model


def resume(kind, path, **options):
    """Go on in a fresh model with other weights and other random numbers."""
    torch.manual_seed(99)
    model = type(new_model(kind))(TransformerConfig(**CONFIG))
    torch.manual_seed(12345)
    batches = Batches(kind == "encoder-decoder")
    return train(model, batches, STEPS, checkpoint=path, checkpoint_every=5, **options), bits(model)


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("kind", ["encoder-decoder", "decoder"])
def test_interrupted_training_goes_on_to_the_last_bit(tmp_path, kind, failure):
    path = tmp_path / "folder" / "model.ckpt"
    history, weights = whole_run(kind)
    interrupt(kind, path, failure)
    resumed, resumed_weights = resume(kind, path)
    assert resumed == history
    assert_same_bits(resumed_weights, weights)
    assert [file.name for file in path.parent.iterdir()] == ["model.ckpt"]


def test_evaluations_outlast_an_interruption(tmp_path):
    path = tmp_path / "model.ckpt"
    options = dict(evaluate=lambda model: model.output.weight.sum().item(), evaluate_every=4)
    model = new_model("decoder")
    torch.manual_seed(7)
    history = train(model, Batches(sources=False), STEPS, **options)
    interrupt("decoder", path, **options)
    resumed, _ = resume("decoder", path, **options)
    assert resumed.evaluations == history.evaluations
    assert [step for step, _ in history.evaluations] == [4, 8, 12, 16, 20, 24, 28, 30]


def test_the_first_step_after_resuming_is_the_first_that_was_not_saved(tmp_path):
    path = tmp_path / "model.ckpt"
    interrupt("decoder", path)
    asked = []

    class Watched(Batches):
        def __getitem__(self, step):
            asked.append(step)
            return super().__getitem__(step)

    train(new_model("decoder"), Watched(sources=False), STEPS, checkpoint=path)
    assert asked[-1] == STEPS - 1
    assert set(asked) == {0, *range(15, STEPS)}  # the first batch tells runs apart


def test_a_finished_run_is_read_and_not_made_again(tmp_path):
    path = tmp_path / "model.ckpt"
    interrupt("decoder", path)
    history, weights = resume("decoder", path)
    model = new_model("decoder")
    assert train(model, Batches(False, fails_at=29), STEPS, checkpoint=path) == history
    assert_same_bits(bits(model), weights)


def test_an_interruption_while_writing_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    path = tmp_path / "model.ckpt"
    history, weights = whole_run("decoder")
    save, times = torch.save, []

    def save_by_half(checkpoint, file):
        times.append(len(checkpoint["history"]["steps"]))
        if len(times) == 3:
            file.write(b"PK half a checkpoint")
            raise KeyboardInterrupt
        save(checkpoint, file)

    monkeypatch.setattr(lesson_tf.checkpoints.torch, "save", save_by_half)
    torch.manual_seed(7)
    model = new_model("decoder")
    torch.manual_seed(7)
    with pytest.raises(KeyboardInterrupt):
        train(model, Batches(sources=False), STEPS, checkpoint=path, checkpoint_every=5)
    assert times == [5, 10, 15]
    assert [file.name for file in tmp_path.iterdir()] == ["model.ckpt"]
    assert len(torch.load(path)["history"]["steps"]) == 10
    resumed, resumed_weights = resume("decoder", path)
    assert resumed == history
    assert_same_bits(resumed_weights, weights)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (dict(steps=40), "steps is 30 there and 40 here"),
        (dict(learning_rate=0.001), "learning_rate is 0.003 there and 0.001 here"),
        (dict(warmup=4), "warmup is 3 there and 4 here"),
        (dict(weight_decay=0.0), "weight_decay is 0.01 there and 0.0 here"),
        (dict(label_smoothing=0.1), "label_smoothing is 0.0 there and 0.1 here"),
        (dict(clip=None), "clip is 1.0 there and None here"),
        (dict(model=dict(d_model=16)), "d_model is 8 there and 16 here"),
        (dict(model=dict(positions="rotary")), "positions is sinusoidal there and rotary here"),
        (dict(model=dict(dropout=0.0)), "dropout is 0.2 there and 0.0 here"),
        (dict(kind="encoder-decoder"), "the model is LanguageModel there and Transformer here"),
        (dict(batches=dict(seed=1)), "the first batch is data of hash"),
    ],
    ids=str,
)
def test_the_checkpoint_of_another_run_is_refused(tmp_path, changes, sentence):
    path = tmp_path / "model.ckpt"
    interrupt("decoder", path)
    written = path.read_bytes()
    kind = changes.pop("kind", "decoder")
    model = new_model(kind, **changes.pop("model", {}))
    batches = Batches(kind == "encoder-decoder", **changes.pop("batches", {}))
    before = bits(model)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        train(model, batches, **{"steps": STEPS, "checkpoint": path, **changes})
    assert_same_bits(bits(model), before)
    assert path.read_bytes() == written


@pytest.mark.usefixtures("unchecked")
def test_equal_numbers_of_another_type_are_the_same_run(tmp_path):
    path = tmp_path / "model.ckpt"
    options = dict(warmup=np.int64(2), clip=np.float64(1.0), learning_rate=np.float64(0.003))
    train(Bigram(), Batches(False), 8, checkpoint=path, warmup=2)
    train(Bigram(), Batches(False), 8, checkpoint=path, **options)
    path.unlink()
    train(Bigram(), Batches(False), 8, checkpoint=path, **options)
    train(Bigram(), Batches(False), 8, checkpoint=path, warmup=2)


def damaged_files(good):
    middle = len(good) // 2
    yield "empty", b""
    yield "text", b"weights"
    yield "cut", good[:middle]
    yield "one byte", good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :]


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "model.ckpt"
    interrupt("decoder", path)
    for name, content in damaged_files(path.read_bytes()):
        path.write_bytes(content)
        model = new_model("decoder")
        before = bits(model)
        with pytest.raises(ValueError, match=r"cannot be read: it is damaged"):
            train(model, Batches(sources=False), STEPS, checkpoint=path)
        assert_same_bits(bits(model), before)
        assert path.read_bytes() == content, name


@pytest.mark.usefixtures("unchecked")
def test_a_changed_byte_is_noticed_or_without_effect(tmp_path):
    path = tmp_path / "model.ckpt"
    interrupt("decoder", path)
    good = path.read_bytes()
    history, weights = resume("decoder", path)
    chance = random.Random(0)
    for _ in range(60):
        place = chance.randrange(len(good))
        path.write_bytes(good[:place] + bytes([good[place] ^ 0xFF]) + good[place + 1 :])
        try:
            resumed, resumed_weights = resume("decoder", path)
        except ValueError as error:
            assert str(path) in str(error)
            continue
        assert resumed == history
        assert_same_bits(resumed_weights, weights)


@pytest.mark.parametrize("content", [{"model": {}}, [1, 2], torch.zeros(3)], ids=str)
def test_a_file_of_torch_that_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    with pytest.raises(ValueError, match="was not written by train"):
        train(Bigram(), Batches(sources=False), 5, checkpoint=path)


def test_a_file_that_would_run_code_is_refused(tmp_path):
    path = tmp_path / "model.ckpt"
    torch.save({"run": History()}, path)
    with pytest.raises(ValueError, match="cannot be read"):
        train(Bigram(), Batches(sources=False), 5, checkpoint=path)


# Divergence


class BreaksAt(nn.Module):
    """A model whose loss or gradient is no number at one step."""

    def __init__(self, step, loss=None, gradient=None):
        super().__init__()
        self.model, self.step, self.loss, self.gradient, self.calls = (
            Bigram(),
            step,
            loss,
            gradient,
            0,
        )
        self.before = None

    def forward(self, token_ids):
        logits = self.model(token_ids)
        if self.calls == self.step:
            self.before = bits(self.model)
            if self.loss is not None:
                logits = logits + self.loss
            if self.gradient is not None:
                logits.register_hook(lambda gradient: gradient * self.gradient)
        self.calls += 1
        return logits


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (dict(loss=math.nan), "the loss is nan"),
        (dict(loss=math.inf), "the loss is nan"),
        (dict(gradient=math.nan), "the gradient's norm is nan"),
        (dict(gradient=math.inf), "the gradient's norm is "),
    ],
    ids=str,
)
def test_training_stops_before_a_bad_step(broken, what):
    model = BreaksAt(6, **broken)
    model.eval()
    with pytest.raises(TrainingDiverged) as caught:
        train(model, Batches(sources=False), 20, learning_rate=0.01, warmup=4)
    error = caught.value
    assert str(error).startswith(f"step 6: {what}")
    rate = 0.01 * learning_rate_factor(6, 20, 4)
    assert f"at learning rate {rate:.3g}; the last finite loss was" in str(error)
    assert "half the learning_rate, or with a longer warmup" in str(error)
    assert error.step == 6
    assert error.learning_rate == pytest.approx(rate)
    assert error.history.steps == list(range(6))
    assert all(map(math.isfinite, error.history.loss))
    assert_same_bits(bits(model.model), model.before)
    assert not model.training


def test_weights_that_are_no_numbers_are_named_before_any_update():
    model = Bigram()
    with torch.no_grad():
        model.bias[3] = math.nan
    with pytest.raises(TrainingDiverged, match=r"^step 0: the loss is nan, before any update\."):
        train(model, Batches(sources=False), 5)


def test_a_huge_learning_rate_ends_in_the_sentence_and_not_in_nonsense():
    model = new_model("decoder")
    with pytest.raises(TrainingDiverged) as caught:
        train(model, Batches(sources=False), 20, learning_rate=1e30, warmup=0)
    assert 1 <= caught.value.step < 20


def test_a_checkpoint_holds_no_step_that_diverged(tmp_path):
    path = tmp_path / "model.ckpt"
    with pytest.raises(TrainingDiverged):
        train(BreaksAt(6, loss=math.nan), Batches(False), 20, checkpoint=path, checkpoint_every=1)
    assert len(torch.load(path)["history"]["loss"]) == 6


# What would lose work


@pytest.mark.parametrize("name", [".", "file/model.ckpt", "x" * 300, "nul\0", "blocked"])
def test_a_checkpoint_that_cannot_be_written_is_refused_before_the_first_step(tmp_path, name):
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "blocked.unfinished").mkdir()
    model = new_model("decoder")
    before = bits(model)
    with pytest.raises(ValueError, match=r"is a folder; name a file in it|cannot be written \("):
        train(model, Batches(sources=False), 5, checkpoint=tmp_path / name)
    assert_same_bits(bits(model), before)


def test_asking_whether_a_checkpoint_can_be_written_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError):
        train(Bigram(), Batches(False, fails_at=1), 5, checkpoint=tmp_path / "model.ckpt")
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_with_other_weights_frozen_is_of_another_run(tmp_path):
    path = tmp_path / "model.ckpt"
    train(Bigram(), Batches(False), 2, checkpoint=path)
    model = Bigram()
    model.bias.requires_grad_(False)
    with pytest.raises(ValueError, match=r"bias is .* there and .*, frozen here"):
        train(model, Batches(False), 2, checkpoint=path)


@pytest.mark.parametrize("value", [None, {"loss": 1.0}, "0.5", torch.ones(2)])
def test_an_evaluation_that_is_no_number_gets_a_sentence(value):
    with pytest.raises(ValueError, match="which is no number; let it return one"):
        train(Bigram(), Batches(False), 1, evaluate=lambda model: value)


def test_an_evaluation_may_be_a_tensor_of_one_number():
    history = train(Bigram(), Batches(False), 1, evaluate=lambda model: torch.tensor(0.5))
    assert history.evaluations == [(1, 0.5)]
