"""The translator that ships: what it promises on days it has never seen, and what it says of what it cannot read."""

import csv
import random
from dataclasses import replace
from datetime import date, timedelta
from functools import partial

import pytest
import torch

from lesson_tf import translator
from lesson_tf.dates import STYLES, forms, split
from lesson_tf.decoding import beam_search, sample
from lesson_tf.model_files import DATA
from lesson_tf.transformer import Transformer, TransformerConfig

PER_STYLE = 150


@pytest.fixture(scope="module")
def model():
    return translator.load()


def test_it_is_right_on_days_it_has_never_seen(model):
    examples = translator.held_out_examples(PER_STYLE, seed=1)
    found = translator.exact_match(model, examples)
    assert set(found) == {"all", *STYLES}
    assert found.pop("all") >= 0.998
    assert min(found.values()) >= 0.98  # 3 of 150


def test_the_results_that_ship_meet_their_aims():
    with (DATA / "translator.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    assert [row["seed"] for row in rows] == ["0", "1", "2"]
    for style in STYLES:
        assert float(rows[0][f"exact match: {style}"]) >= 0.995
    assert all(float(row["exact match: all"]) >= 0.999 for row in rows)
    assert (DATA / "translator.safetensors").stat().st_size <= 1.5e6


def test_examples_are_of_test_days_alone():
    days = {day.isoformat() for day in split().test}
    examples = translator.held_out_examples(5)
    assert {example.iso for example in examples} <= days
    assert examples == translator.held_out_examples(5)
    assert examples != translator.held_out_examples(5, seed=1)


@pytest.mark.parametrize("style", ["en us", "iso", "ja era", "ja era kanji", "month first"])
def test_every_form_of_a_day_of_a_year(model, style):
    rng = random.Random(2)
    year = [date(2023, 1, 1) + timedelta(n) for n in range(365)]
    days = rng.sample([day for day in year if STYLES[style].fits(day)], 30)
    pairs = [(forms(day, style)[0], day.isoformat()) for day in days]
    answers = model.translate_all([text for text, _ in pairs])
    assert sum(a == iso for a, (_, iso) in zip(answers, pairs, strict=True)) >= 29


@pytest.mark.parametrize(
    "text",
    [
        "  令和６年３月５日　",
        "令和6年3月5日(火)",
        "R6.3.5",
        "５　Ｍａｒｃｈ　２０２４",
        "March 5, 2024",
        "2024–03–05",
    ],
)
def test_forms_that_people_type(model, text):
    assert model.translate(text).text == "2024-03-05"


def test_a_translation_shows_where_it_looked_and_how_sure_it_was(model):
    seen = model.translate("令和6年3月5日")
    assert seen.source_tokens == list("令和6年3月5日")
    assert seen.target_tokens == [*"2024-03-05", "<eos>"]
    shapes = [seen.encoder_attention, seen.decoder_attention, seen.cross_attention]
    assert [tuple(weights.shape) for weights in shapes] == [
        (2, 4, 8, 8),
        (2, 4, 11, 11),
        (2, 4, 11, 8),
    ]
    for weights in shapes:
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    assert seen.probabilities.shape == (11, 15)
    for step, token in enumerate(seen.target_tokens):
        first, *_ = seen.candidates(step).items()
        assert first == (token, pytest.approx(seen.token_probabilities[step]))
    assert 0 < seen.probability <= 1
    with pytest.raises(ValueError, match="step=11 was not taken; use 0 to 10"):
        seen.candidates(11)


def test_looking_back_agrees_with_decoding_step_by_step(model):
    text = "Tuesday, 5 March 2024"
    [written] = translator.greedy(model.model, [model.read(text)], 12)
    seen = model.translate(text)
    values = torch.tensor(written.log_probabilities).exp().tolist()
    assert seen.token_probabilities == pytest.approx(values, abs=1e-4)


def test_other_ways_to_decode(model):
    def best(model, ids, max_new_tokens):
        return [row[0] for row in beam_search(model, ids, 4, max_new_tokens)]

    assert model.translate("5 March 2024", decode=best).text == "2024-03-05"
    hot = partial(sample, temperature=50.0, generator=torch.Generator().manual_seed(0))
    assert model.translate("5 March 2024", decode=hot).text != "2024-03-05"


@pytest.mark.parametrize("text", ["Feb 30, 2024", "令和0年1月1日", "tomorrow", "99", "....", "1"])
def test_what_is_no_date_gets_an_answer_and_its_probability(model, text):
    seen = model.translate(text)
    assert seen.text and 0 < seen.probability < 1


@pytest.mark.parametrize("text", ["", "   ", "　\n\t"])
def test_nothing_gets_a_sentence(model, text):
    with pytest.raises(ValueError, match="there is nothing to read; type a date, such as 5 March"):
        model.translate(text)


def test_too_much_gets_a_sentence(model):
    with pytest.raises(
        ValueError, match="the text has 65 characters, and the model reads 64 at most"
    ):
        model.translate("1" * 65)
    model.translate("1" * 64)


def test_unknown_characters_get_a_sentence_that_names_them(model):
    with pytest.raises(
        ValueError, match="the model has never seen ß 🎉; it reads dates in English"
    ):
        model.translate("5 März ß 🎉 ß".replace("ä", "a").replace("z", "y"))


@pytest.mark.usefixtures("unchecked")
def test_text_that_is_none_gets_a_sentence(model):
    with pytest.raises(ValueError, match="is no text; give a string"):
        model.translate(20240305)


def test_translating_many_gives_what_each_gives_alone(model):
    texts = [example.text for example in translator.held_out_examples(1)]
    assert model.translate_all(texts) == [model.translate(text).text for text in texts]


def test_each_call_of_load_gives_a_model_of_its_own():
    one, other = translator.load(), translator.load()
    with torch.no_grad():
        one.model.output.weight.zero_()
    assert other.translate("R6.3.5").text == "2024-03-05"


def test_no_example_is_no_measure(model):
    with pytest.raises(ValueError, match="there are no examples to measure with"):
        translator.exact_match(model, [])


@pytest.mark.parametrize(
    "text", ['"5 March 2024"', "“March 5, 2024”", "'2024-03-05'", "「令和6年3月5日」", "«R6.3.5»"]
)
def test_quotation_marks_around_a_date_are_no_part_of_it(model, text):
    assert model.translate(text).text == "2024-03-05"


def test_dropout_rests_while_a_model_in_training_translates():
    config = replace(translator.translator_config(16, 2), dropout=0.5)
    learner = translator.Translator(Transformer(config).train())
    one, other = learner.translate("R6.3.5"), learner.translate("R6.3.5")
    assert torch.equal(one.cross_attention, other.cross_attention)
    assert one.token_probabilities == other.token_probabilities
    assert learner.model.training


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (
            lambda m: m.translate("R6.3.5", beam_search),
            "decode returned .*, not a list of one Hypo",
        ),
        (lambda m: m.translate("R6.3.5", "greedy"), "decode='greedy' cannot be called; give"),
        (lambda m: m.translate_all("R6.3.5"), "texts='R6.3.5' is no list of texts; give a list"),
        (lambda m: m.translate_all(["R6.3.5"], 0), "batch_size=0 is too small; use 1 or more"),
        (lambda m: m.translate("R6.3.5").candidates(1.5), "step=1.5 was not taken; use 0 to 10"),
        (lambda m: m.translate("R6.3.5").candidates(0, 0), "most=0 is too small; use 1 or more"),
        (lambda m: translator.load(None), "path=None is no path; give a string or a pathlib.Path"),
        (lambda m: translator.load("x.safetensors"), "there is no model 'x.safetensors'"),
        (
            lambda m: translator.Translator(Transformer(TransformerConfig(9, 9))),
            "the model has voc",
        ),
        (lambda m: translator.held_out_examples(seed=None), "seed=None is no whole number"),
        (lambda m: translator.held_out_examples(styles="iso"), "styles='iso' is no list of texts"),
        (lambda m: translator.exact_match(m, ["R6.3.5"]), "is no list of Example; use held_out"),
    ],
)
def test_wrong_arguments_get_a_sentence(model, ask, sentence):
    with pytest.raises(ValueError, match=sentence):
        ask(model)
