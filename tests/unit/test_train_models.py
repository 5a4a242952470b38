"""The recipes of the models, cooked for a few steps: files, results, cards, and going on where one stopped."""

import csv

import pytest
import torch

from lesson_tf import family, language_model, train_models, translator
from lesson_tf.dates import STYLES
from lesson_tf.model_files import DATA, load_model

CARDS = [
    DATA / "translator.md",
    DATA / "family" / "card.md",
    DATA / "language_model" / "card.md",
]


def rows_of(path):
    with path.open(encoding="utf-8") as file:
        first, *lines = file.read().splitlines()
    assert first.startswith("# make models; Python 3.")
    return list(csv.DictReader(lines))


def test_a_translator_is_trained_measured_and_published(tmp_path):
    results = [
        train_models.train_translator(tmp_path, seed, 8, 2, 3, per_style=2) for seed in (0, 1)
    ]
    train_models.publish_translator(tmp_path, tmp_path / "data", results)
    rows = rows_of(tmp_path / "data" / "translator.csv")
    assert [(row["seed"], row["d_model"], row["heads"], row["steps"]) for row in rows] == [
        ("0", "8", "2", "3"),
        ("1", "8", "2", "3"),
    ]
    assert rows[0]["exact match: all"] == "0.00000"
    card = (tmp_path / "data" / "translator.md").read_text(encoding="utf-8")
    assert all(f"| {style} | 0.00 % |" in card for style in ("all", *STYLES))
    assert "| `Feb 30, 2024` |" in card
    loaded = translator.load(tmp_path / "data" / "translator.safetensors")
    assert loaded.model.config == translator.translator_config(8, 2)


def test_a_finished_training_is_not_done_again(tmp_path):
    first = train_models.train_translator(tmp_path, 0, 8, 2, 3, per_style=1)
    before = (tmp_path / "translator-8x2-0.checkpoint").stat().st_mtime_ns
    again = train_models.train_translator(tmp_path, 0, 8, 2, 3, per_style=1)
    assert (tmp_path / "translator-8x2-0.checkpoint").stat().st_mtime_ns == before
    assert {**first, "seconds": ""} == {**again, "seconds": ""}


def test_a_family_is_trained_measured_and_published(tmp_path, monkeypatch):
    monkeypatch.setattr(family, "MEMBERS", ((8, 1), (8, 2)))
    results = [train_models.train_member(tmp_path, 8, heads, 2, per_style=1) for heads in (2, 1)]
    train_models.publish_family(tmp_path, tmp_path / "data", results)
    made = family.load(tmp_path / "data" / "family")
    assert made.parameters(8, 1) == made.parameters(8, 2)
    assert made.exact_match(8, 2) == 0
    for sentence in family.SENTENCES:
        seen = made.attention(8, 2, sentence)
        assert "".join(seen.source_tokens) == sentence
        assert seen.encoder.shape == (2, 2, len(sentence), len(sentence))
        assert seen.cross.shape == (2, 2, len(seen.target_tokens), len(sentence))
        torch.testing.assert_close(
            seen.cross.sum(-1), torch.ones(seen.cross.shape[:-1]), atol=2e-3, rtol=0
        )
    model, _ = load_model(tmp_path / "family-8x2-0.safetensors")
    right = translator.Translator(model).translate(sentence)
    torch.testing.assert_close(seen.cross, right.cross_attention, atol=1e-3, rtol=0)
    assert seen.target_tokens == right.target_tokens


def test_a_language_model_is_trained_measured_and_published(tmp_path, monkeypatch):
    small = language_model.language_model_config().__class__(
        1024, 1024, d_model=8, heads=2, decoder_layers=1, d_ff=8, positions="rotary", pad_id=None
    )
    monkeypatch.setattr(language_model, "language_model_config", lambda vocab: small)
    results = [train_models.train_language_model(tmp_path, steps=1)]
    train_models.publish_language_model(tmp_path, tmp_path / "data", results)
    [row] = rows_of(tmp_path / "data" / "language_model" / "results.csv")
    assert (
        float(row["loss: 5-gram"]) < float(row["loss: bigram"]) < float(row["loss: language model"])
    )
    writer = language_model.load(tmp_path / "data" / "language_model")
    assert writer.tokenizer.decode(writer.tokenizer.encode("tensor")) == "tensor"


def test_recipes_cover_every_model_and_are_cooked_in_other_processes(tmp_path):
    recipes = train_models.recipes()
    assert [len(chosen) for chosen in recipes.values()] == [1, 3, len(family.MEMBERS)]
    assert len({recipe.name for chosen in recipes.values() for recipe in chosen}) == 20
    few = {
        "translator": [
            train_models.Recipe(
                f"seed {seed}", train_models.train_translator, (seed, 8, 1, 2, "t", 1)
            )
            for seed in (1, 0)
        ]
    }
    [(model, results)] = train_models.cook_all(few, tmp_path, workers=2)
    assert model == "translator"
    assert [row["seed"] for row in results] == ["1", "0"]


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.parent.name + "/" + path.name)
def test_every_model_that_ships_has_a_card(path):
    card = path.read_text(encoding="utf-8")
    for part in ("Licence", "**Known failures.**", " steps"):
        assert part in card
