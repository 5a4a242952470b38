"""Recall at a distance: the task read anew, the LSTM unrolled by hand, gradients and weights, the results that ship."""

import math
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lesson_tf.experiments import long_range
from lesson_tf.experiments.long_range import GAPS, KINDS, NOTHING, RECURRENT, spell
from lesson_tf.transformer import LanguageModel

NONE, SINUSOIDAL, ROTARY, ALIBI = long_range.TRANSFORMERS


@settings(deadline=None)
@given(st.integers(0, 2**40), st.integers(0, 60), st.integers(1, 8), st.booleans())
def test_every_question_is_answered_by_its_card(seed, gap, cards, first_asked):
    ids, answers = long_range.draw(1, gap, seed, cards, first_asked=first_asked)
    read, said = spell(ids[0]), spell(answers[0])
    shown = {token[0]: token[1] for token in read[:cards]}
    assert len(shown) == cards and len(read) == cards + gap + 1
    assert said[:cards] == ["·"] * cards
    for token, answer in zip(read[cards:], said[cards:], strict=True):
        assert answer == (shown[token[0]] if token.endswith("?") else "·")
        assert token.endswith("?") or token.startswith("~")
    assert read[-1].endswith("?")
    assert not first_asked or read[-1][0] == read[0][0]


def test_an_answer_never_stands_in_the_sequence():
    ids, answers = long_range.draw(200, 100, 0)
    values = set(range(long_range.VALUES, long_range.VALUES + 8))
    assert set(answers.unique().tolist()) == values | {NOTHING}
    assert not values & set(ids.unique().tolist()) and NOTHING not in ids
    assert (answers != NOTHING).double().mean().item() == pytest.approx(
        (100 / 8 + 1) / 105, abs=0.01
    )


def test_without_other_questions_there_is_noise_alone_between():
    ids, answers = long_range.draw(50, 64, 3, asked=0.0)
    assert ((answers != NOTHING).sum(dim=1) == 1).all()
    assert all(token.startswith("~") for row in ids for token in spell(row[4:-1]))
    asked, _ = long_range.draw(50, 64, 3, asked=1.0)
    assert all(token.endswith("?") for row in asked for token in spell(row[4:]))
    assert torch.equal(asked[:, :4], ids[:, :4]) and torch.equal(asked[:, -1], ids[:, -1])


def test_gaps_of_training_stay_below_128_and_short_ones_are_frequent():
    gaps = [long_range.RecallBatches(1, seed)[seed][0].shape[1] - 5 for seed in range(400)]
    assert min(gaps) == 0 and 110 < max(gaps) <= 127
    assert 0.4 < sum(gap < math.sqrt(128) - 1 for gap in gaps) / 400 < 0.6


def test_training_and_test_sequences_differ():
    batches = long_range.RecallBatches(seed=3)
    assert all(torch.equal(*pair) for pair in zip(batches[7], batches[7], strict=True))
    trained = {tuple(row) for step in range(100) for row in batches[step][0].tolist()}
    for gap in GAPS:
        test = {
            tuple(row)
            for row in long_range.draw(200, gap, 2**40 + gap, asked=0.0).token_ids.tolist()
        }
        assert len(test) == 200 and not trained & test


def test_the_models_have_as_many_parameters_within_3_percent():
    counts = [sum(w.numel() for w in long_range.new_model(kind).parameters()) for kind in KINDS]
    assert max(counts) / min(counts) < 1.03


def test_the_lstm_is_torchs_cell_step_by_step_and_begins_with_open_forget_gates():
    model = long_range.new_model(RECURRENT).network
    hidden = model.lstm.hidden_size
    cell = nn.LSTMCell(model.lstm.input_size, hidden)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in model.lstm.state_dict().items()})
    forget = (cell.bias_ih + cell.bias_hh)[hidden : 2 * hidden]
    assert torch.equal(forget, torch.ones(hidden))
    ids, _ = long_range.draw(2, gap=6, seed=0)
    state = None
    for token in ids.T:
        state = cell(model.embedding(token), state)
    assert torch.allclose(model.output(state[0]), model(ids)[:, -1], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_answers_are_not_read_and_the_future_is_not_seen(kind):
    model = long_range.new_model(kind).eval()
    ids, answers = long_range.draw(2, gap=20, seed=0)
    assert torch.equal(model(ids, answers), model(ids))
    assert torch.allclose(model(ids[:, :10]), model(ids)[:, :10], atol=1e-5)


class Oracle(nn.Module):
    """A model that looks the card up, or names the value of a card at random."""

    def __init__(self, knows):
        super().__init__()
        self.knows = knows

    def forward(self, ids):
        cards = ids[:, :4] - long_range.FIRST_CARD
        asked = ids[:, -1:] - long_range.QUESTIONS
        right = (cards // 8 == asked).int().argmax(dim=1, keepdim=True)
        place = right if self.knows else torch.zeros_like(right)
        said = long_range.VALUES + (cards % 8).gather(1, place)
        return nn.functional.one_hot(said, long_range.VOCABULARY).float()


@pytest.mark.parametrize("gap", GAPS)
def test_accuracy_is_1_for_who_looks_up_and_a_third_for_who_names_any_card(gap):
    assert long_range.accuracy(Oracle(knows=True), gap) == 1.0
    assert long_range.accuracy(Oracle(knows=False), gap) == pytest.approx(11 / 32, abs=0.12)


def test_the_gradients_norm_is_that_of_the_unrolled_lstm():
    model = long_range.new_model(RECURRENT)
    ids, answers = long_range.draw(3, 8, 2**40 + 8, asked=0.0, first_asked=True)
    double = long_range.new_model(RECURRENT).double().network

    def advantage(first, row):
        vectors = double.embedding(ids[row : row + 1]).detach()
        vectors = torch.cat((first[None, None], vectors[:, 1:]), dim=1)
        scores = double.output(double.lstm(vectors)[0])[0, -1]
        return scores[answers[row, -1]] - scores[1:9].mean()

    norms = []
    for row in range(3):
        first = double.embedding(ids[row, :1])[0].detach()
        steps = 1e-5 * torch.eye(len(first)).double()
        slopes = [(advantage(first + s, row) - advantage(first - s, row)).item() for s in steps]
        norms.append(math.hypot(*slopes) / 2e-5)
    assert long_range.gradient_norm(model, 8, sequences=3) == pytest.approx(
        sum(norms) / 3, rel=1e-4
    )
    assert next(model.parameters()).dtype == torch.float32


@pytest.mark.parametrize("keys", [2, 8, 128, 4096])
@pytest.mark.parametrize("advantage", [-1.0, 0.0, 4.0])
def test_dilution_is_the_softmax_and_its_reverse(advantage, keys):
    scores = torch.zeros(keys).double()
    scores[keys // 2] = advantage
    weight = long_range.diluted_weight(advantage, keys)
    assert weight == pytest.approx(scores.softmax(0)[keys // 2].item())
    assert long_range.needed_advantage(weight, keys) == pytest.approx(advantage)


def test_the_weight_on_the_card_is_read_off_the_recorded_attention():
    model = long_range.new_model(ROTARY).eval()
    found = long_range.attention_on_card(model, gap=16, sequences=5)
    ids, _ = long_range.draw(5, 16, 2**40 + 16, asked=0.0)
    assert found.shape == (5, 2, 4)
    for row, weights_found in zip(ids, found, strict=True):
        key = spell(row[-1:])[0][0]
        [place] = [i for i, token in enumerate(spell(row[:4])) if token[0] == key]
        record = []
        model.network(row[None], record=record)
        expected = torch.stack([weights[0, :, -1, place].detach() for weights in record])
        assert torch.allclose(weights_found, expected, atol=1e-6)


def test_one_attention_layer_joins_the_first_place_with_the_last():
    model = long_range.new_model(NONE)
    network = model.network
    assert isinstance(network, LanguageModel)
    del network.layers[1:]
    norm = long_range.gradient_norm(model, 128, sequences=2)
    network.layers[0].self_attention.w_v.weight.data.zero_()
    assert norm > 1e-4 and long_range.gradient_norm(model, 128, sequences=2) < 1e-12
    assert long_range.path_length(NONE, 128) == 1
    ids, _ = long_range.draw(1, 128, 0)
    assert long_range.path_length(RECURRENT, 128) == ids.shape[1] - 1


@pytest.mark.parametrize("kind", [RECURRENT, ROTARY])
def test_a_finished_training_is_not_made_again(kind, tmp_path):
    first = long_range.train_kind(tmp_path, kind, 1, steps=2, sequences=5)
    [checkpoint] = tmp_path.glob("*.checkpoint")
    before = checkpoint.stat().st_mtime_ns
    again = long_range.train_kind(tmp_path, kind, 1, steps=2, sequences=5)
    assert checkpoint.stat().st_mtime_ns == before
    assert {**first, "seconds": ""} == {**again, "seconds": ""}
    live = long_range.train_model(kind, seed=1, steps=2)
    assert f"{long_range.accuracy(live, 64, sequences=5):.4f}" == first["accuracy_64"]


@cache
def shipped():
    return long_range.results()


def mean(kind, measure="accuracy"):
    """Average over seeds, by gap."""
    values = long_range.by_gap(shipped(), kind, measure).mean(dim=0).tolist()
    return dict(zip(GAPS, values, strict=True))


def test_what_ships_has_five_seeds_of_equal_training():
    assert {(row["kind"], int(row["seed"])) for row in shipped()} == {
        (kind, seed) for kind in KINDS for seed in range(5)
    }
    assert len({row["steps"] for row in shipped()}) == 1
    counts = [int(row["parameters"]) for row in shipped()]
    assert max(counts) / min(counts) < 1.03


@pytest.mark.parametrize("kind", KINDS)
def test_all_learned_the_task_within_the_gaps_of_training(kind):
    accuracies = mean(kind)
    assert all(accuracies[gap] > 0.85 for gap in (8, 16, 32, 64))


def test_beyond_the_gaps_of_training_positions_decide():
    assert mean(NONE)[512] > 0.95 and mean(RECURRENT)[512] > 0.8
    assert mean(ROTARY)[512] < 0.6 < mean(ROTARY)[64]
    assert mean(ROTARY)[512] < mean(ALIBI)[512] < mean(SINUSOIDAL)[512] < mean(NONE)[512]


def test_an_untrained_lstms_gradient_falls_exponentially_and_attentions_as_a_power():
    lstm = long_range.by_gap(shipped(), RECURRENT, "untrained").double().log()
    shares = (lstm[:, -1] - lstm[:, 1]) / (512 - 16)  # log of what one step leaves
    assert (shares.exp() < 0.9).all() and shares.std() < 0.05
    for kind in long_range.TRANSFORMERS:
        norms = mean(kind, "untrained")
        assert norms[512] > norms[8] / 200
    assert mean(RECURRENT, "untrained")[512] < 1e-20
    # Training opens the way that was closed.
    assert mean(RECURRENT, "trained")[512] > 1e10 * mean(RECURRENT, "untrained")[512]


@pytest.mark.parametrize("kind", long_range.TRANSFORMERS)
def test_the_weight_on_the_card_falls_with_the_number_of_keys(kind):
    weights = mean(kind, "weight")
    assert weights[8] > weights[128] > weights[512]


@pytest.mark.parametrize(("kind", "least"), [(NONE, 0.75), (SINUSOIDAL, 0.7)])
def test_an_advantage_that_stays_is_diluted_as_the_closed_form_says(kind, least):
    weights = mean(kind, "weight")
    near = long_range.needed_advantage(weights[8], keys=8 + 5)
    far = long_range.needed_advantage(weights[512], keys=512 + 5)
    assert (
        near < far < near + 2
    )  # most rivals of the card are other cards, and these do not grow in number
    assert long_range.diluted_weight(near, keys=512 + 5) < weights[512]
    assert weights[512] > least


def test_rotary_positions_take_from_the_cards_advantage_far_away():
    weights = mean(ROTARY, "weight")
    near = long_range.needed_advantage(weights[8], keys=8 + 5)
    assert long_range.needed_advantage(weights[512], keys=512 + 5) < near - 1
    assert weights[512] < long_range.diluted_weight(near, keys=512 + 5)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: long_range.draw(0, 8, 0), "batch_size=0"),
        (lambda: long_range.draw(1, -1, 0), "gap=-1 is no distance"),
        (lambda: long_range.draw(1, 8, 0, cards=9), "cards=9"),
        (lambda: long_range.draw(1, 8, 0, asked=2.0), "asked=2.0 is no share"),
        (lambda: long_range.RecallBatches()[-1], "step=-1 is no step"),
        (lambda: long_range.new_model("GRU"), "use one of ('LSTM'"),
        (lambda: long_range.Reader(nn.Linear(2, 2)), "give a RecurrentModel or a LanguageModel"),
        (lambda: long_range.gradient_norm(nn.Linear(2, 2), 8), "give a Reader"),
        (lambda: long_range.attention_on_card(long_range.new_model(RECURRENT), 8), "no attention"),
        (lambda: long_range.diluted_weight(math.nan, 8), "advantage=nan"),
        (lambda: long_range.diluted_weight(4.0, 0), "keys=0"),
        (lambda: long_range.needed_advantage(1.0, 8), "weight=1.0 is no share"),
        (lambda: long_range.needed_advantage(0.5, 1), "keys=1"),
        (lambda: long_range.by_gap([], RECURRENT, "weight"), "'trained')"),
        (lambda: spell(torch.tensor([89])), "id 89"),
    ],
)
def test_wrong_arguments_are_refused_in_a_sentence(call, words):
    with pytest.raises(ValueError) as caught:
        call()
    assert words in str(caught.value)
