"""Explorers compute what the package computes, survive every value, and show themselves in two ways."""

import base64
import io
import math
import os
import random
import subprocess
import sys
from dataclasses import replace
from unittest.mock import Mock

import ipywidgets
import nbformat
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from nbclient import NotebookClient
from PIL import Image
from torch.nn.functional import cosine_similarity

from lesson_tf import explore, family, figures, translator
from lesson_tf.attention import causal_mask, scaled_dot_product_attention
from lesson_tf.explore import explorer as machinery
from lesson_tf.explore.attention import PADDED, mask_grid
from lesson_tf.explore.element import element, pack
from lesson_tf.explore.live import LiveView
from lesson_tf.positional_encoding import sinusoidal

EXPLORERS = {
    "softmax": explore.softmax,
    "heads": explore.heads,
    "masks": explore.masks,
    "waves": explore.waves,
    "merges": explore.merges,
    "next_token": explore.next_token,
    "flow": explore.flow,
    "translate": explore.translate,
    "distance": explore.distance,
}
NO_WHOLE_HEAD = (
    "d_model=64 cannot be split over heads=3; use heads in {1, 2, 4, 8, 16, 32, 64}, "
    "or d_model=63 or 66"
)


@pytest.fixture(params=EXPLORERS)
def explorer(request):
    return EXPLORERS[request.param]()


# What is computed.


def states(explorer):
    """Give the state of every combination of stops, and count those that have none but a sentence."""
    for values in explorer.grid():
        try:
            yield values, explorer.state(**values)
        except ValueError as error:
            assert explorer.name == "heads", error
            assert values["d_model"] % values["heads"]
            assert "cannot be split over heads" in str(error)


def test_every_stop_gives_finite_arrays_a_sentence_and_the_same_again(explorer):
    count = 0
    for values, state in states(explorer):
        again = explorer.state(**values)
        assert state.sentence == again.sentence
        assert state.sentence.endswith(".") and len(state.sentence) <= 184, state.sentence
        for name, array in state.arguments.items():
            if isinstance(array, torch.Tensor):
                assert torch.isfinite(array.float()).all()
                assert torch.equal(array, again.arguments[name])
        count += 1
    every = math.prod(len(control.stops) for control in explorer.controls)
    assert count == (every if explorer.name != "heads" else every // 2)


def test_stops_and_defaults_are_valid_values(explorer):
    for control in explorer.controls:
        assert control.check(control.default) == control.default
        assert [control.check(stop) for stop in control.stops] == list(control.stops)


def test_the_callers_random_numbers_stay_as_they_were(explorer):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    explorer.state()
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize("d_k", [1, 2, 3, 64, 100, 511, 512])
@pytest.mark.parametrize("temperature", [0.1, 1.0, 3.7])
def test_softmax_agrees_with_torch(d_k, temperature):
    panels = explore.softmax().state(d_k=d_k, temperature=temperature).arguments["panels"]
    query = torch.randn(1, 512, generator=torch.Generator().manual_seed(7))[:, :d_k]
    keys = torch.randn(8, 512, generator=torch.Generator().manual_seed(8))[:, :d_k]
    scores = (query @ keys.T)[0] / temperature
    for bars, expected in zip(
        panels.values(), (scores.softmax(0), (scores / d_k**0.5).softmax(0)), strict=True
    ):
        np.testing.assert_allclose(list(bars.values()), expected, atol=1e-5)


def test_softmax_says_the_entropy():
    state = explore.softmax().state(d_k=16)
    weights = torch.tensor(list(state.arguments["panels"]["divided by $\\sqrt{d_k}$"].values()))
    entropy = -(weights * weights.log()).sum().item()
    assert f"it is {entropy:.2f}, as if {math.exp(entropy):.1f} did." in state.sentence


@pytest.mark.parametrize(("d_model", "heads"), [(64, 4), (8, 8), (32, 1), (16, 2)])
@pytest.mark.parametrize("attention", ["encoder", "decoder", "cross"])
def test_heads_show_what_the_family_ships(d_model, heads, attention):
    for text in ("令和6年3月5日", "March 5, 2024"):
        state = explore.heads().state(text=text, d_model=d_model, heads=heads, attention=attention)
        looked = family.load().attention(d_model, heads, text)
        weights = getattr(looked, attention)[-1]
        assert torch.equal(state.arguments["weights"], weights)
        sides = {
            "encoder": (looked.source_tokens, looked.source_tokens),
            "decoder": (looked.target_tokens, ["<bos>", *looked.target_tokens[:-1]]),
            "cross": (looked.target_tokens, looked.source_tokens),
        }
        assert (state.arguments["queries"], state.arguments["keys"]) == sides[attention]
        hidden = ~state.arguments.get("mask", torch.ones(1, 1, dtype=torch.bool))
        assert not (weights * hidden).any()
        parameters = family.load().parameters(d_model, heads)
        share = 100 * family.load().exact_match(d_model, heads)
        assert state.sentence.startswith(
            f"{parameters:,} parameters, d_k = {d_model // heads}; {share:.1f} % of held-out"
        )
        others = weights
        if attention == "encoder":
            others = weights * ~torch.eye(weights.shape[-1], dtype=torch.bool)
        assert state.sentence.endswith(f"with weight {others.max():.2f}.")


@pytest.mark.parametrize("text", ["5 May 2021", "昭和64年1月7日", "9", "nonsense"])
def test_heads_read_a_text_of_ones_own_with_the_translator(text):
    seen = translator.load().translate(text)
    for attention in ("encoder", "decoder", "cross"):
        state = explore.heads().state(text=text, attention=attention)
        weights = getattr(seen, f"{attention}_attention")[-1]
        torch.testing.assert_close(state.arguments["weights"], weights)
        assert state.sentence.startswith("Your text, read by the translator that ships.")
    with pytest.raises(ValueError, match="d_model = 64 and heads = 4"):
        explore.heads().state(text=text, heads=2)


def test_more_heads_cost_no_parameters():
    asked = explore.heads().prediction
    assert asked.right == "the same number"
    assert family.load().parameters(64, 4) == family.load().parameters(64, 8)
    assert explore.heads().state(**asked.moves).arguments["weights"].shape[0] == 8


@pytest.mark.parametrize("mask", ["none", "padding", "causal", "both", "cross"])
@pytest.mark.parametrize("hidden", ["−inf", "−1e9"])
def test_masks_agree_with_the_package(mask, hidden):
    state = explore.masks().state(mask=mask, hidden=hidden)
    before, after = state.arguments["weights"]
    allowed = mask_grid(mask)
    rows = allowed.any(dim=-1)
    torch.testing.assert_close(before.sum(-1), torch.ones(len(before)))
    renormalised = before * allowed
    renormalised = renormalised / renormalised.sum(-1, keepdim=True).clamp(min=1e-30)
    torch.testing.assert_close(after[rows], renormalised[rows], atol=1e-6, rtol=1e-5)
    nothing = 0.0 if hidden == "−inf" else 1 / len(PADDED)
    torch.testing.assert_close(after[~rows], torch.full_like(after[~rows], nothing))
    assert not after[~state.arguments["mask"][1]].any()


def test_mask_grids():
    padding = torch.tensor([token != "<pad>" for token in PADDED])
    assert mask_grid("none").all()
    assert torch.equal(mask_grid("padding"), padding.expand(7, 7))
    assert torch.equal(mask_grid("causal"), causal_mask(7))
    assert torch.equal(mask_grid("both"), causal_mask(7) & padding)
    assert torch.equal(mask_grid("cross"), padding.expand(4, 7))


@pytest.mark.parametrize("d_model", [4, 16, 64, 98, 128])
@pytest.mark.parametrize("base", [100, 10000])
def test_waves_agree_with_the_package(d_model, base):
    for position in (0, 1, 50, 127):
        state = explore.waves().state(d_model=d_model, position=position, base=base)
        table = sinusoidal(128, d_model, float(base))
        assert torch.equal(state.arguments["table"], table)
        cosine = cosine_similarity(table[0], table[position], dim=0).item()
        torch.testing.assert_close(state.arguments["similarity"][position].item(), cosine)
        assert f"cosine {cosine:.2f}".replace("-", "−") in state.sentence
        longest = 2 * math.pi * base ** ((d_model - 2) / d_model)
        said = float(state.sentence.split()[-1].rstrip(".").replace(",", ""))
        assert said == pytest.approx(longest, rel=0.02)


def test_offset_100_is_nearer_than_50_at_64_but_not_at_128():
    for d_model, nearer in ((64, 100), (128, 50)):
        similarity = explore.waves().state(d_model=d_model).arguments["similarity"]
        assert max((50, 100), key=lambda offset: similarity[offset]) == nearer


def test_any_value_in_range_works_not_only_stops():
    chance = random.Random(0)
    for _ in range(25):
        bars = explore.softmax().state(
            d_k=chance.randint(1, 512), temperature=chance.uniform(0.1, 4)
        )
        for panel in bars.arguments["panels"].values():
            assert sum(panel.values()) == pytest.approx(1, abs=1e-5)
        d_model, position = 2 * chance.randint(2, 64), chance.randint(0, 127)
        waves = explore.waves().state(d_model=d_model, position=position)
        assert waves.arguments["table"].equal(sinusoidal(128, d_model))
        assert f"Position {position} against" in waves.sentence


# Past the edges.


def test_values_past_the_edges_get_a_sentence_with_the_nearest(explorer):
    for control in explorer.controls:
        if isinstance(control, explore.Slider):
            for value, nearest in (
                (control.low - 1, control.low),
                (control.high + 1, control.high),
                (-(10**9), control.low),
                (10**9, control.high),
            ):
                with pytest.raises(ValueError, match=f"out of range.*the nearest is {nearest:g}"):
                    explorer.state(**{control.name: value})


@pytest.mark.parametrize("value", [None, "64", "<b>", True, math.nan, math.inf, [4], {}, object()])
def test_values_of_a_wrong_type_get_a_sentence(explorer, value):
    for control in explorer.controls:
        if isinstance(control, explore.Text) and isinstance(value, str):
            continue
        with pytest.raises(ValueError, match=f"^{control.name}="):
            explorer.state(**{control.name: value})


def test_a_text_too_long_or_half_a_character_gets_a_sentence():
    with pytest.raises(ValueError, match=r"text has 10,000 characters; give at most 64"):
        explore.heads().state(text="9" * 10_000)
    with pytest.raises(ValueError, match="half a character"):
        explore.heads().state(text="\ud800")
    with pytest.raises(ValueError, match="has never seen €"):
        explore.heads().state(text="€")


def test_half_a_head_and_an_unknown_control():
    with pytest.raises(ValueError, match=r"heads=2.5 is not a whole number.*such as 2"):
        explore.heads().state(heads=2.5)
    assert (
        explore.heads().state(heads=np.int64(2)).sentence == explore.heads(heads=2).state().sentence
    )
    with pytest.raises(
        ValueError, match=r"layers is no control of heads; use \['text', 'd_model', 'heads', 'att"
    ):
        explore.heads().state(layers=2)


def test_values_that_do_not_go_together_raise_the_packages_sentence():
    with pytest.raises(ValueError) as error:
        explore.heads().state(heads=3)
    assert str(error.value) == NO_WHOLE_HEAD
    with pytest.raises(ValueError, match="d_model=64 cannot be split"):
        explore.heads(heads=3)
    with pytest.raises(ValueError, match="no member of the family has d_model=48"):
        explore.heads(d_model=48)
    with pytest.raises(ValueError, match="d_model=9 is odd"):
        explore.waves(d_model=9)


# How it shows itself.


def test_the_picture_is_an_opaque_png_as_wide_as_the_text(explorer):
    plt.close("all")
    with Image.open(io.BytesIO(explorer.draw(explorer.state()))) as picture:
        assert picture.width == figures.TEXT_WIDTH * 240
        assert picture.convert("RGBA").getextrema()[3] == (255, 255)
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert plt.get_fignums() == []


def test_the_same_state_gives_the_same_picture(explorer):
    assert explorer.draw(explorer.state()) == explorer.draw(explorer.state())


def test_its_name_is_plain_and_stable(explorer):
    assert repr(explore.waves()) == "Explorer waves: d_model=64, position=50, base=10000"
    assert repr(explorer) == repr(EXPLORERS[explorer.name]())


def test_without_a_kernel_it_is_a_picture_and_a_line_of_text(explorer, monkeypatch):
    monkeypatch.delenv("LESSON_TF_BOOK", raising=False)
    bundle, metadata = explorer._repr_mimebundle_()
    assert bundle.keys() == {"text/plain", "image/png"}
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert metadata["image/png"]["width"] == 720


def registered_widgets():
    return len(ipywidgets.widgets.widget._instances)


def test_with_a_kernel_it_holds_a_widget_too_but_not_in_the_book(monkeypatch):
    monkeypatch.setattr(machinery, "_kernel_is_live", lambda: True)
    monkeypatch.delenv("LESSON_TF_BOOK", raising=False)
    before = registered_widgets()
    bundle, _ = explore.masks()._repr_mimebundle_()
    assert bundle.keys() == {"text/plain", "image/png", "application/vnd.jupyter.widget-view+json"}
    assert registered_widgets() > before
    monkeypatch.setenv("LESSON_TF_BOOK", "1")
    before = registered_widgets()
    bundle, _ = explore.masks()._repr_mimebundle_()
    assert bundle.keys() == {"text/plain", "image/png", "text/html"}
    assert registered_widgets() == before


BOOK_CODE = """
import sys
from lesson_tf import explore
from lesson_tf.explore import explorer
explorer._kernel_is_live = lambda: True
for each in (explore.softmax(), explore.heads(), explore.masks(), explore.waves()):
    assert each._repr_mimebundle_()[0].keys() == {"text/plain", "image/png", "text/html"}
assert "ipywidgets" not in sys.modules
"""


def test_in_the_book_ipywidgets_is_not_even_imported():
    environment = os.environ | {"LESSON_TF_BOOK": "1", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", BOOK_CODE], env=environment, check=True)


def test_in_a_real_kernel(monkeypatch, tmp_path):
    """One notebook: figures keep their width, an explorer brings its widget, nothing shows twice."""
    monkeypatch.delenv("LESSON_TF_BOOK", raising=False)
    cells = [
        "from lesson_tf import explore, figures\nfigures.use_style()",
        "figures.bars({'a': 1.0}, xlabel='weight');",
        "figures.token_row(['今日', 'は']);",
        "explore.heads()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    for cell in notebook.cells[1:3]:
        pictures = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        assert len(pictures) == 1
        png = base64.b64decode(pictures[0].data["image/png"])
        with Image.open(io.BytesIO(png)) as picture:
            assert picture.width == 1440
    (shown,) = notebook.cells[3].outputs
    assert "application/vnd.jupyter.widget-view+json" in shown.data
    assert shown.data["text/plain"] == repr(explore.heads())
    assert "text/html" not in shown.data


# The live view.


@pytest.fixture
def undrawn(monkeypatch):
    """Replace drawing, which is slow and tested elsewhere, so that each callback can be driven."""
    draw = Mock(side_effect=lambda state: state.sentence.encode())
    monkeypatch.setattr(explore.Explorer, "draw", lambda self, state: draw(state))
    return draw


def test_the_first_view_is_the_first_state(explorer):
    view = LiveView(explorer)
    assert view.picture.value.tobytes() == explorer.draw(explorer.state())
    assert view.sentence == explorer.state().sentence
    assert list(view.controls) == list(explorer.values)
    assert {name: widget.value for name, widget in view.controls.items()} == explorer.values


def test_every_stop_of_every_control_reaches_picture_and_sentence(explorer, undrawn):
    view = LiveView(explorer)
    for values, state in states(explorer):
        for name, value in values.items():
            view.controls[name].value = value
        assert view.sentence == state.sentence
        assert view.picture.value.tobytes() == view.sentence.encode()
        assert view.picture.tooltip == view.sentence


def test_every_width_and_every_number_of_heads_shows_weights_or_a_sentence(undrawn):
    view = LiveView(explore.heads())
    for d_model in range(8, 65, 8):
        for heads in range(1, 9):
            view.controls["d_model"].value = d_model
            view.controls["heads"].value = heads
            if d_model % heads:
                assert f"d_model={d_model} cannot be split over heads={heads}" in view.sentence
            elif (d_model, heads) not in family.MEMBERS:
                assert f"no member of the family has d_model={d_model}" in view.sentence
            else:
                parameters = family.load().parameters(d_model, heads)
                assert view.sentence.startswith(f"{parameters:,} parameters")


def test_an_invalid_combination_keeps_the_last_picture(undrawn):
    view = LiveView(explore.heads())
    picture = view.picture.value.tobytes()
    view.controls["heads"].value = 3
    assert view.sentence == NO_WHOLE_HEAD
    assert view.picture.value.tobytes() == picture
    view.controls["heads"].value = 2
    assert "d_k = 32" in view.sentence
    assert view.picture.value.tobytes() != picture


def buttons(widget):
    """Name the buttons in a widget."""
    if isinstance(widget, ipywidgets.Button):
        return {widget.description: widget}
    return {k: v for child in getattr(widget, "children", ()) for k, v in buttons(child).items()}


def test_a_text_that_is_ready_is_one_click_away(undrawn):
    view = LiveView(explore.heads())
    buttons(view.container)["March 5, 2024"].click()
    assert view.controls["text"].value == "March 5, 2024"
    assert view.sentence == explore.heads("March 5, 2024").state().sentence


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("more", "You said more; it is the same number."),
        ("the same number", "Yes: the same number."),
        ("Skip", "the same number."),
    ],
)
def test_every_answer_to_the_question_shows_the_next_picture(undrawn, said, verdict):
    view = LiveView(explore.heads())
    assert not view.verdict.value
    buttons(view.container)[said].click()
    assert view.verdict.value.startswith(verdict)
    assert view.verdict.value.endswith(explore.heads().prediction.because)
    assert view.controls["heads"].value == 8
    assert "d_k = 8" in view.sentence


def test_a_browser_cannot_move_a_slider_past_its_end(explorer, undrawn):
    view = LiveView(explorer)
    for control in explorer.controls:
        widget = view.controls[control.name]
        if isinstance(control, explore.Slider):
            for value in (control.low - 1000, control.high + 1000):
                widget.value = value
            assert explorer.state(**{control.name: control.high}).sentence
            assert view.sentence


def test_a_logarithmic_slider_gives_whole_numbers(undrawn):
    view = LiveView(explore.softmax())
    for value in (1, 2.0000001, 63.7, 512):
        view.controls["d_k"].value = value
        assert view.sentence.startswith(f"d_k = {round(value)}:")


def test_what_a_reader_gave_is_text_and_never_markup(undrawn):
    view = LiveView(explore.heads())
    view.controls["text"].value = "<script>alert(1)</script>"
    assert "the model has never seen <" in view.sentence
    assert "<" not in view.line.value and "&lt;" in view.line.value


def test_what_a_browser_needs_to_show_a_tooltip(explorer, undrawn):
    """Without these, a browser shows an error in place of the picture, and "null" at a slider."""
    view = LiveView(explorer)
    assert "description" in view.picture.get_state()
    assert all(widget.tooltip == name for name, widget in view.controls.items())


def test_the_tooltip_tells_of_the_picture_that_is_shown(undrawn):
    view = LiveView(explore.heads())
    said = view.sentence
    view.controls["heads"].value = 3
    assert view.sentence != said
    assert view.picture.tooltip == said


def test_a_new_explorer_needs_a_function_controls_and_a_drawing(undrawn):
    def compute(rows: int):
        weights, _ = scaled_dot_product_attention(*torch.ones(3, rows, 2))
        return explore.State({"weights": weights[None]}, f"{rows} rows.")

    slider = explore.Slider("rows", 2, low=1, high=5, stops=(1, 5))
    view = LiveView(explore.Explorer("rows", compute, (slider,), "head_heatmaps", height=3))
    view.controls["rows"].value = 5
    assert view.sentence == "5 rows."


def test_a_drawing_that_no_page_knows_gets_a_sentence():
    with pytest.raises(ValueError, match="no page draws 'points'; use one of bar_panels, curves"):
        pack(replace(explore.masks(), drawing="points"))


def test_a_new_explorer_of_lines_is_drawn_on_axes():
    def compute(power: int):
        x = torch.arange(1.0, 9)
        axes = {"xlabel": "x", "ylabel": "y"}
        return explore.State({"x": x, "series": {"x": x**power}, **axes}, f"Power {power}.")

    slider = explore.Slider("power", 2, low=1, high=3, stops=(1, 2, 3))
    made = explore.Explorer("powers", compute, (slider,), "curves", height=3)
    assert len(pack(made)) < 3000
    with Image.open(io.BytesIO(made.draw(made.state()))) as picture:
        assert picture.width == figures.TEXT_WIDTH * 240
    assert element(made, b"").startswith('<lesson-explorer name="powers"')
