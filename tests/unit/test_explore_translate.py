"""The explorer of decoding shows what the shipped translator does, and its picture what it is given."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from lesson_tf import explore, figures, palette, translator
from lesson_tf.decoding import beam_search, greedy, sample
from lesson_tf.explore.element import pack
from lesson_tf.explore.translation import DATES, DECODINGS, HEADS, is_day
from lesson_tf.figures.translation import MOST_RIBBONS

OWN = ("5 March 2024", "10000 BC", "平成31年4月30日", "no" * 20, "9")


@pytest.fixture(scope="module")
def reader():
    return translator.load()


def beam(*arguments, **bounds):
    return [best_first[0] for best_first in beam_search(*arguments, width=4, **bounds)]


def decode(name):
    chance = torch.Generator().manual_seed(0)
    drawn = partial(sample, temperature=1.5, generator=chance)
    return {"greedy": greedy, "beam of 4": beam, "temperature 1.5": drawn}[name]


@pytest.mark.parametrize("date", [*DATES, *OWN])
@pytest.mark.parametrize("decoding", DECODINGS)
def test_every_state_shows_what_the_translator_does(reader, date, decoding):
    seen = reader.translate(date, decode(decoding))
    for head in HEADS:
        for step in range(1, 12):
            values = {"date": date, "decoding": decoding, "step": step, "head": head}
            shown = explore.translate().state(**values).arguments
            last = seen.cross_attention[1]
            expected = sum(last) / 4 if head == "mean" else last[head - 1]
            torch.testing.assert_close(shown["weights"], expected)
            torch.testing.assert_close(shown["probabilities"], seen.probabilities)
            assert shown["source_tokens"] == seen.source_tokens
            assert "".join(shown["target_tokens"]).replace("end", "") == seen.text
            assert shown["step"] == min(step, len(seen.target_tokens)) - 1


def test_the_sentence_says_the_step_and_the_whole(reader):
    seen = reader.translate("令和0年1月1日")
    state = explore.translate("令和0年1月1日", step=3).state()
    weights = seen.cross_attention[1].mean(0)[2]
    assert state.sentence == (
        f"Step 3 writes {seen.text[2]} with probability {seen.token_probabilities[2]:.2f} and reads "
        f"{seen.source_tokens[weights.argmax()]} most, with weight {weights.max():.2f}. "
        f"Written (greedy): {seen.text}, probability {math.prod(seen.token_probabilities):.2f}."
    )
    end = explore.translate(step=11).state().sentence
    assert end.startswith("Step 11 ends the text with probability 1.00 and reads ")


@pytest.mark.parametrize("date", ["February 30, 2023", "10000 BC"])
def test_what_is_no_day_is_said_to_be_none(date):
    assert explore.translate(date).state().sentence.endswith("That is no day of any calendar.")
    assert "calendar" not in explore.translate().state().sentence


def test_a_small_probability_is_not_said_to_be_nothing():
    sentence = explore.translate("apple", "temperature 1.5").state().sentence
    assert "probability below 0.01." in sentence
    assert len(sentence) <= 184


def test_beams_and_chance_write_what_greedy_does_not():
    def written(date, decoding):
        return explore.translate(date, decoding).state().arguments["target_tokens"]

    assert written("10000 BC", "beam of 4") != written("10000 BC", "greedy")
    assert written("令和0年1月1日", "temperature 1.5") != written("令和0年1月1日", "greedy")
    for decoding in DECODINGS:
        assert written("令和6年3月5日", decoding) == [*"2024-03-05", "end"]


@pytest.mark.parametrize("text", ["", "   ", "é", "<script>", "x" * 65, "😀"])
def test_what_cannot_be_read_gets_the_translators_sentence(reader, text):
    with pytest.raises(ValueError) as expected:
        reader.translate(text) if len(text) <= 64 else explore.Text("date", "", ()).check(text)
    with pytest.raises(ValueError) as error:
        explore.translate().state(date=text)
    assert str(error.value) == str(expected.value)


def test_the_prediction_is_the_models_own_answer(reader):
    asked = explore.translate().prediction
    seen = reader.translate("令和0年1月1日")
    assert asked.right == seen.text
    assert asked.right in asked.choices and len(set(asked.choices)) == 3
    (first, likely), (second, less) = seen.candidates(2, 2).items()
    assert f"{first} with probability {likely:.2f}, {second} with {less:.2f}." in asked.because
    state = explore.translate().state(**asked.moves)
    assert f"Step 3 writes {first} with probability {likely:.2f}" in state.sentence
    assert explore.translate("令和0年1月1日").prediction is None  # it would ask for what is seen


def test_the_element_is_small_and_nothing_is_computed_twice():
    assert len(pack(explore.translate())) < 16_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2024-02-29", True), ("2023-02-29", False), ("0000-01-01", False), ("20240101", False)]
    + [("2024-W01-1", False), ("", False), ("9999-12-31", True)],
)
def test_days_of_the_calendar(text, expected):
    assert is_day(text) is expected


# The picture.


@pytest.fixture(autouse=True)
def _style_and_no_figure_left():
    figures.use_style()
    yield
    plt.close("all")
    plt.rcdefaults()


def arguments(source="令和6年", target="2-0", step=1):
    chance = torch.Generator().manual_seed(1)
    weights = torch.randn(len(target), len(source), generator=chance).softmax(-1)
    probabilities = torch.randn(len(target), 4, generator=chance).softmax(-1)
    return {
        "weights": weights,
        "source_tokens": list(source),
        "target_tokens": list(target),
        "probabilities": probabilities,
        "vocabulary": ["0", "2", "-", "end"],
        "step": step,
    }


def test_the_picture_shows_the_step_in_three_ways():
    given = arguments()
    above, heatmap, bars = figures.translation(**given, title="Where")
    strong = [p for p in above.patches if "→" in (p.get_gid() or "") and p.get_alpha() > 0.5]
    assert strong and all(patch.get_gid().startswith("1→") for patch in strong)
    np.testing.assert_allclose(heatmap.images[0].get_array(), given["weights"])
    (frame,) = heatmap.patches
    assert (frame.get_y(), frame.get_width()) == (0.5, 4)
    assert to_hex(frame.get_edgecolor()) == palette.LIGHT["query"].lower()
    assert [label.get_text() for label in heatmap.get_yticklabels()] == ["2", "-", "0"]
    assert [label.get_text() for label in heatmap.get_xticklabels()] == list("令和6年")
    row = given["probabilities"][1].sort(descending=True)
    assert [t.get_text() for t in bars.get_yticklabels()] == [
        given["vocabulary"][i] for i in row.indices
    ]
    np.testing.assert_allclose([bar.get_width() for bar in bars.patches], row.values, atol=1e-6)
    taken = [bar.get_linewidth() > 1 for bar in bars.patches]
    assert [given["vocabulary"][i] for i in row.indices][taken.index(True)] == "-"
    assert "step 2" in bars.get_title(loc="left")


def test_too_many_characters_get_no_ribbons():
    assert len(figures.translation(**arguments(source="a" * MOST_RIBBONS))) == 3
    assert len(figures.translation(**arguments(source="年" * MOST_RIBBONS))) == 3
    assert len(figures.translation(**arguments(source="a" * (MOST_RIBBONS + 1)))) == 2
    axes = figures.translation(**arguments(source="年" * 64), figure=Figure(figsize=(6, 5.8)))
    axes[0].figure.draw_without_rendering()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"step": 3}, r"step=3 is not a target token; use 0 to 2"),
        ({"step": None}, "step=None shows no step"),
        ({"weights": torch.ones(3, 4) * 2}, "attention weights lie between 0 and 1"),
        ({"source_tokens": ["a"]}, "source_tokens has 1 entries; give 4"),
        ({"probabilities": torch.ones(2, 4) / 4}, "probabilities has 2 entries; give 3"),
        ({"probabilities": torch.ones(3, 4)}, "sum to 4"),
        ({"vocabulary": ["0", "2", "x", "end"]}, "'-' was written, but is not in the vocabulary"),
    ],
)
def test_what_cannot_be_drawn(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        figures.translation(**arguments() | change)
    assert not plt.get_fignums()
