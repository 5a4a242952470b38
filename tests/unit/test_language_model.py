"""The language model that ships: windows, losses, and what it writes."""

import csv
import math
from functools import partial

import pytest
import torch

from lesson_tf import language_model
from lesson_tf.corpus import split_texts, torch_documentation
from lesson_tf.decoding import sample
from lesson_tf.language_model import TextBatches, held_out_loss
from lesson_tf.model_files import DATA
from lesson_tf.n_gram import NGram
from lesson_tf.transformer import LanguageModel, TransformerConfig


@pytest.fixture(scope="module")
def writer():
    return language_model.load()


@pytest.fixture(scope="module")
def texts():
    return split_texts(torch_documentation())


def test_windows_are_cut_from_the_texts_and_depend_on_seed_and_step_alone():
    sequences = [list(range(1, 30)), list(range(30, 50))]
    stream = [0, *sequences[0], 0, *sequences[1], 0]
    batches = TextBatches(sequences, 0, length=6, batch_size=8, seed=3)
    [windows] = batches[5]
    assert windows.shape == (8, 7)
    places = [stream[i : i + 7] for i in range(len(stream) - 6)]
    assert all(window in places for window in windows.tolist())
    again = TextBatches(sequences, 0, length=6, batch_size=8, seed=3)
    assert torch.equal(again[5][0], windows)
    assert not torch.equal(again[6][0], windows)
    assert not torch.equal(TextBatches(sequences, 0, 6, 8, seed=4)[5][0], windows)
    drawn = torch.cat([batches[step][0] for step in range(60)])
    assert {tuple(window) for window in drawn.tolist()} == {tuple(place) for place in places}


def test_too_little_text_gets_a_sentence():
    with pytest.raises(ValueError, match="the texts have 5 tokens and a window needs 9; give more"):
        TextBatches([[1, 2, 3]], 0, length=8, batch_size=1, seed=0)


@pytest.mark.parametrize("size", [2, 3, 8, 9, 13, 30])
def test_every_token_is_scored_once_with_as_much_before_it_as_fits(size):
    model = LanguageModel(TransformerConfig(9, 9, d_model=8, heads=2, pad_id=None)).eval()
    sequence, length = torch.randint(0, 9, (size,)), 8
    losses = []
    for place in range(1, size):
        # The first window scores all its targets; each later one starts half a window on.
        start = 0 if place <= length else (place - length + 3) // 4 * 4
        logits = model(sequence[None, start:place])[0, -1]
        losses.append(-logits.log_softmax(-1)[sequence[place]].item())
    expected = sum(losses) / len(losses)
    assert held_out_loss(model, [sequence.tolist()], length) == pytest.approx(expected, abs=1e-5)


def test_a_sequence_without_a_next_token_is_no_text():
    model = LanguageModel(TransformerConfig(9, 9, d_model=8))
    with pytest.raises(ValueError, match="no sequence has two tokens"):
        held_out_loss(model, [[4], []])


def test_it_beats_the_n_grams_on_texts_it_has_never_seen(writer, texts):
    training, validation = texts
    held_out = [writer.sequence(text) for text in validation]
    counted = [writer.sequence(text) for text in training]
    loss = held_out_loss(writer.model, held_out)
    with (DATA / "language_model" / "results.csv").open(encoding="utf-8") as file:
        [row] = csv.DictReader(line for line in file if not line.startswith("#"))
    assert loss == pytest.approx(float(row["loss: language model"]), abs=2e-3)
    for name, order in (("bigram", 2), ("5-gram", 5)):
        baseline = NGram(order, len(writer.tokenizer)).fit(counted).loss(held_out)
        assert baseline == pytest.approx(float(row[f"loss: {name}"]), abs=1e-4)
        assert loss < baseline


def test_the_file_is_small():
    folder = DATA / "language_model"
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 2.5e6


def test_a_continuation_says_what_was_written_and_how_probable_it_was(writer):
    written = writer.continue_text("Returns a new tensor with the", max_new_tokens=12)
    assert written.text == "".join(written.tokens)
    assert len(written.tokens) == len(written.token_probabilities) == 12
    assert all(0 < p <= 1 for p in written.token_probabilities)
    [first] = writer.next_token("Returns a new tensor with the", most=1).items()
    assert first == (written.tokens[0], pytest.approx(written.token_probabilities[0], abs=1e-4))


def test_a_prompt_may_be_empty_or_longer_than_the_context(writer):
    assert writer.continue_text("", max_new_tokens=3).text
    long = "tensor " * 1000
    assert len(writer.read(long)) == language_model.LONGEST_CONTEXT
    assert writer.continue_text(long, max_new_tokens=2).tokens


def test_drawing_depends_on_the_generator(writer):
    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        return writer.continue_text("Args:", 20, partial(sample, generator=generator)).text

    assert draw(0) == draw(0) != draw(1)


def test_next_tokens_are_shaped(writer):
    plain = writer.next_token("Returns a new ", most=1024)
    assert math.fsum(plain.values()) == pytest.approx(1, abs=1e-4)
    assert list(plain.values()) == sorted(plain.values(), reverse=True)
    assert len(plain) == 1024  # bytes that are no character have names of their own
    assert len(writer.next_token("Returns a new ", most=8, top_k=3)) == 3


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_text_gets_a_sentence(writer):
    with pytest.raises(ValueError, match="is no text; give a string"):
        writer.continue_text(5)


def test_dropout_rests_while_a_model_in_training_is_asked(writer):
    learner = language_model.load()
    learner.model.train()
    assert learner.next_token("Returns a new") == writer.next_token("Returns a new")
    assert learner.loss(["Returns a new tensor."]) == writer.loss(["Returns a new tensor."])
    assert learner.model.training


def test_every_whole_number_is_a_seed():
    for seed in (-1, 2**63, 10**30):
        batches = TextBatches([[1, 2, 3], [4, 5]], end_id=0, length=4, batch_size=2, seed=seed)
        assert torch.equal(batches[3][0], batches[3][0])


def test_more_next_tokens_than_there_are_are_all(writer):
    assert len(writer.next_token("Returns", most=5000)) == len(writer.tokenizer)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda w: w.continue_text("Returns", decode=None), "decode=None cannot be called"),
        (lambda w: w.next_token("Returns", most=0), "most=0 is too small; use 1 or more"),
        (lambda w: w.next_token("Returns", temperature=10**400), "shapes no distribution"),
        (lambda w: w.loss("Returns"), "texts='Returns' is no list of texts; give a list of str"),
        (lambda w: held_out_loss(w.model, [[1, 2]], length=1), "length=1 leaves no half to overl"),
        (lambda w: held_out_loss(w.model, "ab"), "sequences='ab' are no sequences of ids"),
        (lambda w: language_model.Writer(w.model, None), "tokenizer='NoneType' has no <eos>"),
        (lambda w: language_model.load(5), "folder=5 is no path; give a string or a pathlib.Path"),
        (lambda w: TextBatches([[1, 2]], 0, 2, 2, seed=None), "seed=None is no whole number"),
        (lambda w: TextBatches([[1, 2]], 0, 2, 2, seed=0)[-1], "step=-1 counts nothing; use a wh"),
    ],
)
def test_wrong_arguments_get_a_sentence(writer, ask, sentence):
    with pytest.raises(ValueError, match=sentence):
        ask(writer)
