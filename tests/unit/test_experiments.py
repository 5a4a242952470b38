"""The experiments: their tasks against rules written anew, their trainings for a few steps, the results that ship."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lesson_tf.experiments import order, positions, tied_embeddings
from lesson_tf.experiments.__main__ import EXPERIMENTS, main
from lesson_tf.model_files import DATA
from lesson_tf.recipes import read_results
from lesson_tf.transformer import Transformer
from lesson_tf.translator import translator_config

SIZES = st.integers(1, 40)


@settings(deadline=None)
@given(st.integers(0, 2**40), SIZES)
def test_the_letter_at_a_distance_is_the_answer(seed, length):
    ids, answers, known = (each[0].tolist() for each in positions.draw("distance", 1, length, seed))
    for t in range(length):
        assert known[t] == (t >= 5)
        if known[t]:
            assert answers[t] == ids[t - 5]


@settings(deadline=None)
@given(st.integers(0, 2**40), SIZES)
def test_a_letter_has_one_follower_that_must_have_been_seen(seed, length):
    ids, answers, known = (each[0].tolist() for each in positions.draw("order", 1, length, seed))
    follower = {ids[t - 1]: answers[t] for t in range(1, length)}
    assert all(answers[t] == follower[ids[t - 1]] for t in range(1, length))
    assert len(set(follower.values())) == len(follower)
    for t in range(1, length):
        pairs = set(pairwise(ids[:t]))
        assert known[t] == ((ids[t - 1], answers[t]) in pairs)


@pytest.mark.parametrize("task", positions.TASKS)
def test_most_letters_follow_the_rule(task):
    ids, answers, known = positions.draw(task, 500, 64, 0)
    share = (ids == answers)[known].double().mean().item()
    expected = 1 - positions.RANDOM * (1 - 1 / positions.LETTERS)
    assert share == pytest.approx(expected, abs=0.01)


class Rule(nn.Module):
    """A model that says what stood so many places back."""

    def __init__(self, back):
        super().__init__()
        self.back = back

    def forward(self, token_ids):
        said = token_ids.roll(self.back - 1, dims=1)
        return nn.functional.one_hot(said, positions.LETTERS).float()


@pytest.mark.parametrize("length", positions.LENGTHS)
def test_accuracy_is_1_for_the_rule_and_near_chance_for_another(length):
    assert positions.accuracy(Rule(5), "distance", length) == 1.0
    assert positions.accuracy(Rule(4), "distance", length) < 0.3


def test_training_and_test_sequences_differ():
    batches = positions.LetterBatches("order", seed=4)
    trained = {tuple(row) for step in range(50) for row in batches[step][0].tolist()}
    test = {tuple(row) for row in positions.draw("order", 200, 32, 2**40 + 32).token_ids.tolist()}
    # A letter may follow itself: then two sequences can be the same.
    assert len(trained) > 0.99 * 50 * 32 and len(trained & test) < 3
    assert torch.equal(batches[7][0], positions.LetterBatches("order", seed=4)[7][0])


@pytest.mark.parametrize("kind", positions.KINDS)
def test_the_laboratory_runs_every_kind_at_every_length(kind, tmp_path):
    row = positions.train_kind(tmp_path, "order", kind, 0, steps=2)
    again = positions.train_kind(tmp_path, "order", kind, 0, steps=2)
    assert {**row, "seconds": ""} == {**again, "seconds": ""}
    model = positions.train_model("order", kind, seed=0, steps=2)
    assert f"{positions.accuracy(model, 'order', 128):.4f}" == row["accuracy_128"]


@pytest.mark.parametrize("variant", order.VARIANTS)
def test_positions_are_left_out_on_one_side_alone(variant):
    model = order.leave_out_positions(Transformer(translator_config()), variant).eval()
    sources, targets = torch.randint(4, 9, (2, 6)), torch.randint(4, 9, (2, 5))
    memory = model.encode(sources)
    mirrored = model.encode(sources.flip(1)).flip(1)
    assert torch.allclose(memory, mirrored, atol=1e-5) == (variant == order.NO_ENCODER)
    # An embedding with positions gives one token other vectors at other places.
    same = model.target_embedding(torch.full((1, 2), 5))[0]
    assert torch.equal(same[0], same[1]) == (variant == order.NO_DECODER)
    assert model(sources, targets).shape == (2, 5, model.config.target_vocab)


def test_the_shipped_translator_cannot_tell_anagrams_apart():
    model = order.load()
    for one, other in [("3 Jul 2021", "2 Jul 2031"), ("令和6年3月5日", "令和5年6月3日")]:
        assert model.translate(one).text == model.translate(other).text


@pytest.mark.parametrize(
    ("measure", "wanted"),
    [
        (
            lambda folder: order.train_variant(folder, order.NO_DECODER, 1, 2, per_style=1),
            "anagrams",
        ),
        (lambda folder: tied_embeddings.train_variant(folder, "tied", 1, 2), "held_out_loss"),
    ],
)
def test_a_finished_measurement_is_not_made_again(measure, wanted, tmp_path):
    first = measure(tmp_path)
    [checkpoint] = tmp_path.glob("*.checkpoint")
    before = checkpoint.stat().st_mtime_ns
    again = measure(tmp_path)
    assert checkpoint.stat().st_mtime_ns == before
    assert wanted in first and {**first, "seconds": ""} == {**again, "seconds": ""}


def test_tied_embeddings_save_one_matrix(tmp_path):
    tied, untied, narrower = (
        int(tied_embeddings.train_variant(tmp_path, variant, 0, 1)["parameters"])
        for variant in tied_embeddings.VARIANTS
    )
    assert untied - tied == 1024 * 64
    assert abs(narrower / tied - 1) < 0.1


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_results_that_ship_come_from_the_recipes(name):
    path = DATA / "experiments" / f"{name}.csv"
    head = path.read_text(encoding="utf-8").splitlines()[0]
    assert head.startswith("# make experiments; Python 3.") and ", torch 2." in head
    rows = EXPERIMENTS[name].results()
    recipes = EXPERIMENTS[name].recipes()
    assert len(rows) == len(recipes) == len({recipe.name for recipe in recipes})
    for row, recipe in zip(rows, recipes, strict=True):
        assert all(str(part) in row.values() for part in recipe.arguments[:-1])
    assert rows == read_results(path)


def test_a_trial_leaves_the_shipped_results_alone(tmp_path):
    before = (DATA / "experiments" / "tied_embeddings.csv").read_bytes()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "lesson_tf.experiments", "tied_embeddings"),
            *("--quick", "--work", str(tmp_path), "--workers", "2"),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (DATA / "experiments" / "tied_embeddings.csv").read_bytes() == before
    rows = read_results(tmp_path / "quick" / "tied_embeddings.csv")
    assert [row["variant"] for row in rows] == ["tied", "untied", "untied, narrower"]


def test_an_unknown_experiment_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit):
        main(["relativity"])
    assert "positions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: positions.draw("colour", 1, 8, 0), "use one of ('order', 'distance')"),
        (lambda: positions.draw("order", 0, 8, 0), "batch_size=0"),
        (lambda: positions.LetterBatches("order")[-1], "step=-1 is no step"),
        (lambda: positions.new_model("sinusoid"), "the nearest is 'sinusoidal'"),
        (lambda: order.leave_out_positions(Transformer(translator_config()), "all"), "use one of"),
        (lambda: tied_embeddings.train_variant(Path(), "knotted", 0, 1), "use one of"),
    ],
)
def test_wrong_arguments_are_refused_in_a_sentence(call, words):
    with pytest.raises(ValueError) as caught:
        call()
    assert words in str(caught.value)
