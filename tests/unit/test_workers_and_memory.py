"""Two workers, memory and small data: steps shared out, bytes against formulas, and what the shipped results say."""

import os
import shlex
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lesson_tf.experiments import memory, small_data, two_workers
from lesson_tf.experiments.two_workers import (
    IN_ORDER,
    IN_TURN,
    SHARES,
    UNEQUAL,
    WEIGHTED,
    WEIGHTINGS,
    count_targets,
    new_batch,
    share_out,
    step_alone,
    step_together,
)


@pytest.fixture(scope="module")
def printed():
    """What the lesson's command prints: two processes, on this machine alone, at a port that is free."""
    torchrun, *arguments = shlex.split(two_workers.COMMAND)
    assert torchrun == "torchrun"
    here = {name: value for name, value in os.environ.items() if name != "RANK"}
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        env=here | {"OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def read_line(line):
    """Read the end of a printed line: how it averaged, and by how much loss, gradient and weights differ."""
    [averaged] = [each for each in WEIGHTINGS if each in line]
    return averaged, [float(word) for word in line.split()[-3:]]


def test_two_workers_take_the_step_of_one(printed):
    head, _, *lines = printed
    assert head.startswith("8 texts, 110 tokens to predict, by 2 workers; alone: loss ")
    assert len(lines) == len(SHARES) * len(WEIGHTINGS)
    for line in lines:
        averaged, differences = read_line(line)
        if averaged == WEIGHTED or line.startswith(IN_TURN):
            assert max(differences) < 1e-5, line
        else:
            assert min(differences) > 1e-3, line


def test_the_command_says_how_many_tokens_each_worker_has(printed):
    assert [line[25:40].strip() for line in printed[2::2]] == ["55 + 55", "78 + 32", "102 + 8"]


@pytest.mark.parametrize("shares", SHARES)
@pytest.mark.parametrize("workers", [2, 3, 8])
def test_weights_by_tokens_give_the_gradient_of_the_whole_batch(shares, workers):
    whole, batch = step_alone(new_batch()), new_batch()
    parts = [batch[rows] for rows in share_out(len(batch), workers, shares)]
    steps, counts = [step_alone(part) for part in parts], [count_targets(part) for part in parts]
    weighted = sum(n * step.gradient for n, step in zip(counts, steps, strict=True)) / sum(counts)
    assert torch.allclose(weighted, whole.gradient, atol=1e-6)
    plain = sum(step.gradient for step in steps) / workers
    equal = len(set(counts)) == 1
    assert torch.allclose(plain, whole.gradient, atol=1e-6) == equal
    assert equal == (shares == IN_TURN and workers == 2)


@given(st.integers(1, 50), st.integers(1, 50), st.sampled_from(SHARES))
def test_every_text_has_one_reader_and_every_worker_a_text(workers, more, shares):
    texts = workers + more
    read = share_out(texts, workers, shares)
    assert sorted(each for rows in read for each in rows) == list(range(texts))
    sizes = [len(rows) for rows in read]
    assert len(read) == workers and min(sizes) >= 1
    if shares == UNEQUAL and workers > 1:
        assert sizes[-1] == 1
    else:
        assert max(sizes) - min(sizes) <= 1
    if shares == IN_ORDER:
        assert [each for rows in read for each in rows] == list(range(texts))


def test_the_step_moves_the_weights_against_the_gradient():
    step = step_alone(new_batch())
    before = torch.cat([w.detach().flatten() for w in two_workers.new_model().parameters()])
    moved = before - two_workers.LEARNING_RATE * step.gradient
    assert torch.allclose(step.weights, moved, atol=1e-7)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_one_worker_in_a_group_is_one_worker_alone(weighting):
    with two_workers.workers():
        together = step_together(new_batch(), IN_ORDER, weighting)
    alone = step_alone(new_batch())
    assert together.loss == pytest.approx(alone.loss)
    assert torch.equal(together.gradient, alone.gradient)


@pytest.mark.parametrize("path", memory.PATHS)
@pytest.mark.parametrize("length", [2, 7, 16, 64, 100])
def test_every_byte_is_accounted_for(path, length):
    assert memory.measure(path, length) == memory.expect(path, length)


def test_parameters_gradients_and_optimizer_are_1_1_2():
    found = memory.measure("fused", 8)
    tensors = len(list(memory.new_model().parameters()))
    layer = 4 * (64 * 64 + 64) + 64 * 256 + 256 + 256 * 64 + 64 + 4 * 64
    assert found.parameters == found.gradients == 4 * (2 * 1024 * 64 + 2 * layer + 2 * 64)
    assert found.optimizer == 2 * found.parameters + 4 * tensors


def test_the_shipped_memory_is_what_the_formulas_say():
    rows = memory.results()
    for row in rows:
        expected = memory.expect(row["path"], int(row["length"]))
        assert {name: int(row[name]) for name in expected._fields} == expected._asdict()
    last = {row["path"]: row for row in rows if row["length"] == "2048"}
    share = {path: int(row["squares"]) / int(row["activations"]) for path, row in last.items()}
    assert share["step by step"] > 0.8 and share["fused"] < 0.3


def test_drawn_texts_are_the_training_texts_and_no_others():
    training, chosen, measured = small_data.texts()
    assert not set(training) & {*chosen, *measured} and not set(chosen) & set(measured)
    encoded = {tuple(small_data.encode(text)) for text in training}
    drawn = small_data.draw(20_000, seed=3)
    assert sum(map(len, drawn)) == 20_000
    assert all(tuple(ids) in encoded for ids in drawn[:-1])
    assert drawn == small_data.draw(20_000, seed=3) != small_data.draw(20_000, seed=4)
    assert min(map(min, drawn)) >= 0 and max(map(max, drawn)) < small_data.VOCAB


@pytest.mark.parametrize("kind", small_data.MODELS)
def test_a_model_predicts_from_what_came_before_alone(kind):
    model = small_data.new_model(kind).eval()
    ids = torch.randint(2, 98, (2, 12))
    changed = ids.clone()
    changed[:, 7:] = 5
    assert torch.allclose(model(ids)[:, :7], model(changed)[:, :7], atol=1e-5)
    assert not torch.allclose(model(ids)[:, 11], model(changed)[:, 11], atol=1e-3)


def test_both_models_have_as_many_parameters():
    sizes = [
        sum(weight.numel() for weight in small_data.new_model(kind).parameters())
        for kind in small_data.MODELS
    ]
    assert max(sizes) / min(sizes) < 1.01


class Uniform(torch.nn.Module):
    """A model that finds every character as probable as any other."""

    def forward(self, token_ids):
        return torch.zeros(*token_ids.shape, small_data.VOCAB)


def test_the_loss_of_knowing_nothing_is_the_logarithm_of_the_vocabulary():
    texts = ["a" * 100, "b", ""]
    found = small_data.loss(Uniform(), texts)
    assert found == pytest.approx(torch.tensor(98.0).log().item(), abs=1e-5)


@pytest.mark.parametrize("kind", small_data.MODELS)
def test_a_finished_training_is_not_made_again(kind, tmp_path):
    first = small_data.train_model(tmp_path, kind, 10_000, 1, steps=2)
    [checkpoint] = tmp_path.glob("*.checkpoint")
    before = checkpoint.stat().st_mtime_ns
    again = small_data.train_model(tmp_path, kind, 10_000, 1, steps=2)
    assert checkpoint.stat().st_mtime_ns == before
    assert {**first, "seconds": ""} == {**again, "seconds": ""}


def test_on_little_text_the_lstm_is_ahead_for_every_seed_and_on_more_for_not_all():
    rows = small_data.results()
    lstm, transformer = (small_data.losses(rows, kind) for kind in small_data.MODELS)
    assert lstm.shape == transformer.shape == (len(small_data.SEEDS), len(small_data.SIZES))
    ahead = transformer - lstm
    assert ahead[:, 0].min() > 0.05
    assert ahead[:, -1].min() < 0 and ahead[:, -1].abs().max() < ahead[:, 0].min()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: share_out(2, 3), "use at most 2 workers"),
        (lambda: share_out(8, 2, "by lot"), "shares='by lot' was not tried"),
        (lambda: step_together(new_batch()), "no workers were started; run torchrun"),
        (lambda: step_together(new_batch(), IN_TURN, "none"), "weighting='none' was not tried"),
        (lambda: memory.measure("loop", 8), "path='loop' was not measured"),
        (lambda: memory.expect("fused", 0), "length=0 is too small"),
        (lambda: small_data.new_model("GRU"), "model='GRU' is not compared"),
        (lambda: small_data.draw(10**9, 0), "are more than the texts have; use at most"),
        (lambda: small_data.train_model(None, "LSTM", 7, 0, 2), "characters=7 were not tried"),
        (lambda: small_data.losses([], "GRU"), "model='GRU' is not compared"),
    ],
)
def test_wrong_arguments_are_refused_in_a_sentence(unchecked, call, words):
    with pytest.raises(ValueError) as caught:
        call()
    assert words in str(caught.value)
