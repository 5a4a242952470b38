"""The palette can be read, the figures show what they were given, and refuse what they cannot show."""

import ast
import inspect
import io
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text

from lesson_tf import figures, palette
from lesson_tf.attention import causal_mask, padding_mask
from lesson_tf.figures.charts import _spread
from lesson_tf.positional_encoding import sinusoidal

SENTENCE = ["今日", "は", "良い", "天気", "です"]
ENGLISH = ["The", "animal", "did", "not", "cross", "the", "street", "because"]
ENGLISH += ["it", "was", "too", "tired"]
ROLES = ("query", "key", "value", "accent")
# How a colour looks without the long-wave or the middle-wave receptors (Machado et al., 2009).
BLINDNESS = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


@pytest.fixture(autouse=True)
def _style_and_no_figure_left():
    plt.close("all")
    figures.use_style()
    yield
    plt.close("all")
    plt.rcdefaults()


def linear(color):
    return np.array([c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color])


def luminance(color):
    return float(linear(to_rgb(color)) @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def lab(rgb_linear):
    xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    ) @ np.clip(rgb_linear, 0, 1)
    f = np.cbrt(xyz / [0.9505, 1.0, 1.089])
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def weights_of(*shape):
    return torch.softmax(2 * torch.randn(*shape, generator=torch.Generator().manual_seed(0)), -1)


# The palette.


@pytest.mark.parametrize(
    ("colors", "least"), [(palette.LIGHT, 5.3), (palette.DARK, 7.4)], ids=["light", "dark"]
)
def test_roles_and_text_stand_out_from_the_paper(colors, least):
    for role in (*ROLES, "negative", "positive", "ink"):
        assert contrast(colors[role], colors["paper"]) >= least, role
        assert contrast(colors[role], colors["surface"]) >= 4.5, role
    assert contrast(colors["muted"], colors["surface"]) >= 4.5
    assert contrast(colors["hatch"], colors["paper"]) >= 3


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("colors", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
def test_roles_stay_apart_for_the_colour_blind(colors, blindness):
    seen = {role: lab(BLINDNESS[blindness] @ linear(to_rgb(colors[role]))) for role in ROLES}
    seen |= {
        end: lab(BLINDNESS[blindness] @ linear(to_rgb(colors[end])))
        for end in ("negative", "positive")
    }
    assert np.linalg.norm(seen["negative"] - seen["positive"]) > 40
    for one, other in combinations(ROLES, 2):
        # Blue and violet come close: figures tell lines and fills of these two apart by form.
        if {one, other} == {"query", "accent"}:
            continue
        assert np.linalg.norm(seen[one] - seen[other]) > 20, (one, other)


def test_palette_imports_nothing_and_has_the_same_names_twice():
    tree = ast.parse(inspect.getsource(palette))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert palette.LIGHT.keys() == palette.DARK.keys()


def test_colour_scales_grow_evenly():
    lightness = [lab(linear(figures.WEIGHTS(x)[:3]))[0] for x in np.linspace(0, 1, 21)]
    steps = -np.diff(lightness)
    assert steps.min() > 0
    assert steps.max() < 1.6 * steps.min()
    assert to_rgb(figures.WEIGHTS(0.0)) == to_rgb(palette.LIGHT["paper"])
    np.testing.assert_allclose(figures.SIGNED(0.5)[:3], 1, atol=0.01)
    distance = {x: lab(linear(figures.SIGNED(x)[:3]))[0] for x in (0.25, 0.75)}
    assert abs(distance[0.25] - distance[0.75]) < 8


# Every function: what it makes, its width, its labels.

TABLE = sinusoidal(128, 64)
SAMPLES = {
    "japanese": lambda **at: figures.attention_heatmap(
        weights_of(5, 5), SENTENCE, annotate=True, title="今日は良い天気です", **at
    ),
    "sixteen": lambda **at: figures.attention_heatmap(
        weights_of(16, 16), (ENGLISH * 2)[:16], annotate=True, **at
    ),
    "causal": lambda **at: figures.attention_heatmap(
        weights_of(12, 12).tril(), ENGLISH, mask=causal_mask(12), title="Causal", **at
    ),
    "long": lambda **at: figures.attention_heatmap(weights_of(100, 120), **at),
    "signed": lambda **at: figures.signed_heatmap(
        torch.randn(5, 5), SENTENCE, SENTENCE, annotate=True, xlabel="keys", ylabel="queries", **at
    ),
    "signed wide": lambda **at: figures.signed_heatmap(torch.randn(4, 40), xlabel="dimension", **at),
    "curves": lambda **at: figures.curves(
        np.arange(1, 50),
        {"LSTM": 1 / np.arange(1, 50), "attention": np.random.rand(3, 49), "nothing": np.ones(49)},
        xlabel="step",
        ylabel="loss",
        title="Loss",
        **at,
    ),
    "logarithms": lambda **at: figures.curves(
        2 ** np.arange(10), {"d": 2 ** np.arange(10)}, xlabel="$d_k$", ylabel="variance",
        log_x=True, log_y=True, **at,
    ),
    "bars": lambda **at: figures.bars({"重み": 1.5, "below": -0.5}, xlabel="score", **at),
    "tokens": lambda **at: figures.token_row(SENTENCE, weights_of(5), query=1, title="は", **at),
    "many tokens": lambda **at: figures.token_row(ENGLISH * 4, ids=range(48), **at),
    "positions": lambda **at: figures.positional_heatmap(TABLE, **at),
    "waves": lambda **at: figures.positional_waves(TABLE, [0, 8, 16, 32], **at),
    "vectors": lambda **at: figures.vectors({"q": (1, 2), "−k": (-2, -1)}, **at),
    "map": lambda **at: figures.model_map(**at),
    "alignment": lambda **at: figures.alignment(
        weights_of(11, 8), "令和6年3月5日", [*"2024-03-05", "<eos>"], target=6, title="3月", **at
    ),
    "wide alignment": lambda **at: figures.alignment(weights_of(4, 16), "Tue, 5 Mar 2024 ", "2024", **at),
    "reordering": lambda **at: figures.reordering(
        "3 Jul 2021", [6, 1, 2, 3, 4, 5, 8, 7, 0, 9], names=("3 Jul 2021", "2 Jul 2031"), title="7月", **at
    ),
    "points": lambda **at: figures.points(
        [[0, 1], [2, -1], [-1, 3.5]], ["1", "一", "$x$"], groups={"digits": [0], "numerals": [1]}, pairs=[(0, 1)],
        xlabel="first", ylabel="second", title="Map", **at
    ),
    "attention steps": lambda **at: figures.attention_steps(
        {"x": "added:\nsinusoidal,\nlearned", "q": "turned", "scores": "added: ALiBi"}, title="Where", **at
    ),
    "next token": lambda **at: figures.next_token_bars(
        [0.5, 0.25, 0.125, 0.0625, 0.0625], [" the", "\n", "$x$", "a", "b"], top=3, chosen=4,
        title="Next", **at,
    ),
    "next tokens": lambda **at: figures.next_token_rows(
        weights_of(11, 12), [*"0123456789-", "<eos>"], [*"2024-03-05", "<eos>"], chosen=[0] * 11, **at
    ),
    "references": lambda **at: figures.curves(
        {"training": np.arange(1, 301), "held out": [100, 200, 300]},
        {"training": 0.55 + 3 / np.arange(1, 301), "held out": [0.6, 0.59, 0.58]},
        xlabel="step", ylabel="loss", references={"floor of label smoothing": 0.547}, **at,
    ),
    "cuts": lambda **at: figures.token_layers({"word": [("雨", 2)], "bytes": [("E9", 1), ("9B", 1)]}, **at),
}  # fmt: skip
PANELS = {
    "heads": lambda **at: figures.head_heatmaps(
        weights_of(8, 5, 5), SENTENCE, suptitle="8 untrained heads", **at
    ),
    "heads english": lambda **at: figures.head_heatmaps(
        weights_of(2, 12, 12), ENGLISH, mask=causal_mask(12), annotate=True, **at
    ),
    "wide heads": lambda **at: figures.head_heatmaps(
        weights_of(4, 11, 21), [*"2024-03-05", "<eos>"], "Tuesday, 5 Mar 2024 火", suptitle="4 heads", **at
    ),
    "sixteen wide heads": lambda **at: figures.head_heatmaps(weights_of(16, 11, 21), **at),
    "bar panels": lambda **at: figures.bar_panels(
        {"before": {"a": 0.2, "b": 0.8}, "after": {"a": 0.0, "b": 1.0}}, xlabel="weight",
        suptitle="Softmax", **at,
    ),
    "views": lambda **at: figures.wave_views(
        TABLE, [0, 8, 16, 24], 50, torch.linspace(1, 0.2, 128), suptitle="d_model = 64", **at
    ),
    "translation": lambda **at: figures.translation(
        weights_of(11, 8), "令和6年3月5日", [*"2024-03-05", "end"], weights_of(11, 12), [*"0123456789-", "end"], 6,
        title="3月", **at
    ),
    "long translation": lambda **at: figures.translation(
        weights_of(1, 64), "年" * 64, ["end"], weights_of(1, 2), ["<pad>", "end"], 0, title="3月", **at
    ),
}  # fmt: skip


def texts(figure):
    figure.canvas.draw()
    return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]


@pytest.mark.parametrize("name", [*SAMPLES, *PANELS])
def test_a_figure_of_its_own_has_the_fixed_width_and_readable_labels(name):
    drawn = (SAMPLES | PANELS)[name]()
    figure = (drawn[0] if isinstance(drawn, list) else drawn).figure
    assert plt.get_fignums() == [figure.number]
    assert figure.get_figwidth() == figures.TEXT_WIDTH
    assert figure.get_facecolor() == (1, 1, 1, 1)
    edges = figure.bbox
    for text in texts(figure):
        assert text.get_fontsize() / 72 * 700 / figures.PAGE_WIDTH >= 12, text
        box = text.get_window_extent()
        # A tick may lie outside the axes' limits: matplotlib keeps it and does not draw it.
        if text.get_clip_on() or box.width == 0:
            continue
        assert box.x0 >= edges.x0 - 1 and box.x1 <= edges.x1 + 1, (name, text)
        assert box.y0 >= edges.y0 - 1 and box.y1 <= edges.y1 + 1, (name, text)


@pytest.mark.parametrize("name", SAMPLES)
def test_given_axes_no_figure_is_made(name):
    ax = Figure(figsize=(6, 5), layout="constrained").add_subplot()
    assert SAMPLES[name](ax=ax) is ax
    assert plt.get_fignums() == []
    ax.figure.savefig(io.BytesIO())


@pytest.mark.parametrize("name", PANELS)
def test_given_a_figure_none_is_made(name):
    figure = Figure(figsize=(6, 5))
    axes = PANELS[name](figure=figure)
    assert all(isinstance(ax, Axes) and ax.figure is figure for ax in axes)
    assert plt.get_fignums() == []
    figure.savefig(io.BytesIO())


def test_missing_glyphs_are_errors():
    ax = figures.token_row(["ok", "\U00013000"])
    with pytest.raises(UserWarning, match="Glyph"):
        ax.figure.canvas.draw()


# Heatmaps.


def test_weights_are_drawn_from_0_to_1_whatever_they_are():
    weak = torch.full((3, 3), 0.02)
    image = figures.attention_heatmap(weak).images[0]
    assert image.get_clim() == (0, 1)
    np.testing.assert_allclose(image.get_array(), 0.02, rtol=1e-6)
    for ax in figures.head_heatmaps(weights_of(2, 3, 3)):
        assert ax.images[0].get_clim() == (0, 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda w: w,
        lambda w: w.clone().requires_grad_(),
        lambda w: w.double().numpy(),
        lambda w: w.tolist(),
        lambda w: list(w),
        lambda w: tuple(row.numpy() for row in w),
    ],
    ids=["tensor", "gradient", "numpy", "lists", "list of tensors", "tuple of arrays"],
)
def test_any_kind_of_array_is_accepted(make):
    weights = weights_of(3, 4)
    ax = figures.attention_heatmap(make(weights))
    np.testing.assert_allclose(ax.images[0].get_array(), weights, atol=1e-7)


def test_half_precision_is_accepted():
    ax = figures.attention_heatmap(weights_of(3, 4).bfloat16())
    np.testing.assert_allclose(ax.images[0].get_array(), weights_of(3, 4), atol=0.005)


def hatched_cells(ax):
    (hatching,) = [c for c in ax.collections if c.get_hatch()]
    cells = set()
    for path in hatching.get_paths():
        (left, up), (right, down) = path.vertices.min(axis=0) + 0.5, path.vertices.max(axis=0) + 0.5
        cells |= {(r, c) for r in range(int(up), int(down)) for c in range(int(left), int(right))}
    return cells


def test_hidden_cells_are_hatched_and_no_others():
    mask = torch.rand(6, 9, generator=torch.Generator().manual_seed(1)) > 0.5
    ax = figures.attention_heatmap(weights_of(6, 9), mask=mask)
    assert hatched_cells(ax) == {tuple(cell) for cell in (~mask).nonzero().tolist()}
    assert not any(c.get_hatch() for c in figures.attention_heatmap(weights_of(2, 2)).collections)


def test_a_hatched_cell_is_not_pale_when_printed():
    ax = figures.attention_heatmap([[0.0, 0.0]], mask=[[True, False]], colorbar=False)
    ax.figure.canvas.draw()
    pixels = np.asarray(ax.figure.canvas.buffer_rgba())[..., :3].mean(axis=2)[::-1]
    (x0, y0), (middle, _), (x1, y1) = ax.transData.transform([(-0.4, 0.4), (0.5, 0), (1.4, -0.4)])
    empty = pixels[int(y0) : int(y1), int(x0) : int(middle) - 6]
    hidden = pixels[int(y0) : int(y1), int(middle) + 6 : int(x1)]
    assert empty.min() == 255
    assert (hidden < 200).mean() > 0.1


def test_masks_broadcast_as_the_package_makes_them():
    padding = padding_mask(torch.tensor([[5, 6, 0]]), pad_id=0)
    ax = figures.attention_heatmap(weights_of(2, 3), mask=padding)
    assert hatched_cells(ax) == {(0, 2), (1, 2)}
    axes = figures.head_heatmaps(weights_of(2, 3, 3), mask=causal_mask(3) & padding)
    assert all(hatched_cells(ax) == {(0, 1), (0, 2), (1, 2), (2, 2)} for ax in axes)


def test_what_a_mask_hides_may_be_infinite():
    scores = torch.randn(3, 3).masked_fill(~causal_mask(3), -torch.inf)
    image = figures.signed_heatmap(scores, mask=causal_mask(3)).images[0]
    assert np.isfinite(image.get_array()).all()
    assert image.get_clim()[1] == pytest.approx(scores[causal_mask(3)].abs().max().item())


def test_a_square_matrix_takes_its_queries_for_both_sides():
    ax = figures.attention_heatmap(weights_of(5, 5), SENTENCE)
    assert [t.get_text() for t in ax.get_xticklabels()] == SENTENCE
    assert [t.get_text() for t in ax.get_yticklabels()] == SENTENCE
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("queries", "keys")
    assert ax.yaxis_inverted()


def test_long_labels_turn_and_short_ones_do_not():
    turned = figures.attention_heatmap(weights_of(12, 12), ENGLISH)
    assert {t.get_rotation() for t in turned.get_xticklabels()} == {90}
    level = figures.attention_heatmap(weights_of(5, 5), SENTENCE)
    assert {t.get_rotation() for t in level.get_xticklabels()} == {0}
    japanese = figures.attention_heatmap(
        weights_of(2, 12), ["a", "b"], ["注意機構"] * 11 + ["attention"]
    )
    japanese.figure.canvas.draw()
    labels = japanese.get_xticklabels()
    assert labels[0].get_text() == "注\n意\n機\n構" and labels[0].get_rotation() == 0
    assert labels[-1].get_text() == "attention" and labels[-1].get_rotation() == 90


def test_annotated_numbers_can_be_read_on_their_cells():
    weights = np.linspace(0, 1, 16).reshape(1, 16)
    ax = figures.attention_heatmap(weights, annotate=True)
    assert [t.get_text() for t in ax.texts][:3] == ["0", ".07", ".13"]
    assert ax.texts[-1].get_text() == "1"
    for text, weight in zip(ax.texts, weights[0], strict=True):
        assert contrast(text.get_color(), figures.WEIGHTS(weight)[:3]) > 4.5
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_tokens_are_never_read_as_formulas():
    ax = figures.attention_heatmap(weights_of(2, 2), ["$x", "^_$"])
    assert not any(t.get_parse_math() for t in ax.get_yticklabels())
    row = figures.token_row(["$x$", " ", "\n"])
    assert [t.get_text() for t in row.texts] == ["$x$", "␣", "↵"]
    row.figure.canvas.draw()


def test_signed_values_are_centred_on_0():
    ax = figures.signed_heatmap([[-1.0, 3.0]], annotate=True)
    assert ax.images[0].get_clim() == (-3, 3)
    assert [t.get_text() for t in ax.texts] == ["−1.00", "3.00"]
    assert figures.signed_heatmap([[0.0, 0.0]]).images[0].get_clim() == (-1, 1)
    assert figures.signed_heatmap([[1.0]], limit=5).images[0].get_clim() == (-5, 5)


@pytest.mark.parametrize("heads", range(1, 13))
def test_heads_are_equal_small_multiples(heads):
    axes = figures.head_heatmaps(weights_of(heads, 5, 5), SENTENCE)
    assert len(axes) == heads
    axes[0].figure.canvas.draw()
    sizes = np.array([ax.get_window_extent().size for ax in axes])
    np.testing.assert_allclose(sizes, sizes[0] * np.ones_like(sizes), atol=1)
    assert len(axes[0].figure.axes) == heads + 1  # and one colour bar


# Curves, bars, tokens, positions, vectors.


def test_runs_are_drawn_as_their_mean_and_a_band_from_lowest_to_highest():
    runs = np.array([[1.0, 2.0, 9.0], [3.0, 4.0, 5.0]])
    ax = figures.curves([1, 2, 3], {"a": runs}, xlabel="x", ylabel="y")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [2, 3, 7])
    (band,) = ax.collections
    corners = band.get_paths()[0].vertices
    assert (corners[:, 1].min(), corners[:, 1].max()) == (1, 9)


def test_lines_differ_by_more_than_colour_and_are_labelled_at_their_ends():
    series = {f"line {i}": np.full(4, 0.5 + i / 100) for i in range(8)}
    ax = figures.curves(range(4), series, xlabel="x", ylabel="y")
    looks = {(line.get_marker(), line.get_linestyle(), line.get_color()) for line in ax.lines}
    assert len(looks) == 8 and len({line.get_marker() for line in ax.lines}) == 8
    assert ax.get_legend() is None
    ax.figure.canvas.draw()
    boxes = sorted((t.get_window_extent() for t in ax.texts), key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 + 1 for low, high in pairwise(boxes))
    for text, line in zip(ax.texts, ax.lines, strict=True):
        assert text.get_color() == line.get_color()


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=9).map(sorted))
def test_labels_keep_their_order_and_distance_and_move_no_more_than_needed(wanted):
    placed = _spread(wanted, gap=10)
    assert all(b - a >= 10 - 1e-9 for a, b in pairwise(placed))
    assert np.mean(placed) == pytest.approx(np.mean(wanted), abs=1e-6)
    if all(b - a >= 10 for a, b in pairwise(wanted)):
        assert placed == pytest.approx(wanted)


def test_bars_write_their_values_and_share_one_scale():
    ax = figures.bars({"a": 12_288, "b": 512}, xlabel="parameters", form=",.0f")
    assert [t.get_text() for t in ax.texts] == ["12,288", "512"]
    assert [patch.get_width() for patch in ax.patches] == [12288, 512]
    axes = figures.bar_panels({"x": {"a": 0.1}, "y": {"a": 0.9}}, xlabel="weight")
    assert axes[0].get_xlim() == axes[1].get_xlim()


def test_a_row_of_tokens_wraps_and_shows_every_token():
    ax = figures.token_row(ENGLISH * 4, ids=range(48))
    assert [t.get_text() for t in ax.texts[::2]] == ENGLISH * 4
    assert [t.get_text() for t in ax.texts[1::2]] == [str(i) for i in range(48)]
    assert len({round(t.get_position()[1]) for t in ax.texts[::2]}) > 1
    shades = figures.token_row(SENTENCE, [0, 0.25, 0.5, 0.75, 1])
    assert [p.get_facecolor() for p in shades.patches] == [
        figures.WEIGHTS(x) for x in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]


def test_wavelengths_are_read_from_the_table():
    ax = figures.positional_waves(sinusoidal(64, 8, base=16.0), [0, 1, 2, 6])
    expected = [2 * np.pi * 16 ** (2 * i / 8) for i in (0, 0, 1, 3)]
    assert [t.get_text() for t in ax.texts] == [f"λ = {x:.1f}" for x in expected]
    assert len(figures.positional_waves(torch.rand(64, 8), [0, 1]).texts) == 0


def test_the_future_of_the_similarity_is_not_drawn():
    axes = figures.wave_views(TABLE, [0, 8], 50, torch.linspace(1, 0, 128))
    assert len(axes[2].lines[0].get_xdata()) == 51


def test_the_map_carries_links_into_svg():
    links = {part: f"{part.replace(' ', '_')}.html#x" for part in figures.MODEL_PARTS}
    svg = io.StringIO()
    figures.model_map(links).figure.savefig(svg, format="svg")
    for url in links.values():
        assert f'xlink:href="{url}"' in svg.getvalue(), url
    plain = io.StringIO()
    figures.model_map().figure.savefig(plain, format="svg")
    assert "<a " not in plain.getvalue()


def test_a_reference_is_drawn_across_and_labelled_where_no_line_is():
    steps = np.arange(1, 1501)
    loss = 0.55 + 3 * np.exp(-steps / 200)
    ax = figures.curves(steps, {"a": loss}, xlabel="", ylabel="", references={"the floor": 0.547})
    level = ax.lines[-1]
    assert list(level.get_ydata()) == [0.547, 0.547] and level.get_linestyle() == "--"
    (label,) = [text for text in ax.texts if text.get_text() == "the floor"]
    ax.figure.canvas.draw()
    box = label.get_window_extent()
    points = ax.transData.transform(np.stack([steps, loss], axis=1))
    assert not any(box.contains(*point) for point in points)
    assert box.y0 >= ax.bbox.y0


def test_lines_may_have_an_x_of_their_own():
    x = {"a": [1, 2, 3], "b": [2, 4]}
    ax = figures.curves(x, {"a": [1, 1, 1], "b": [[2, 2], [3, 4]]}, xlabel="", ylabel="")
    assert [list(line.get_xdata()) for line in ax.lines] == [[1, 2, 3], [2, 4]]
    assert [text.xy for text in ax.texts] == [(3, 1), (4, 3)]


def test_a_logarithmic_axis_of_many_steps_has_few_ticks():
    steps = np.arange(1, 1501)
    ax = figures.curves(steps, {"a": 1 / steps + 0.5}, xlabel="", ylabel="", log_x=True, log_y=True)
    ax.figure.canvas.draw()
    shown = [t.get_text() for t in ax.get_xticklabels() if 1 <= t.get_position()[0] <= 1500]
    assert shown == ["1", "2", "5", "10", "20", "50", "100", "200", "500", "1,000"]
    low, high = ax.get_ylim()
    inside = [t.get_text() for t in ax.get_yticklabels() if low <= t.get_position()[1] <= high]
    assert {"0.5", "1"} <= set(inside)


# Alignment, and what comes next.


def ribbons(ax):
    return {p.get_gid(): p for p in ax.patches if "→" in (p.get_gid() or "")}


def test_the_width_of_a_ribbon_is_its_weight():
    ax = figures.alignment([[0.7, 0.3, 0.0], [0.0, 0.5, 0.5]], "年月日", "12")
    drawn = ribbons(ax)
    assert set(drawn) == {"0→0", "0→1", "1→1", "1→2"}
    ends = {}
    for name, patch in drawn.items():
        x, y = patch.get_path().vertices.T
        lowest = x[y == y.min()]
        ends[name] = (lowest.min(), lowest.max())
    width = ends["0→1"][1] - ends["0→0"][0]  # the whole edge of the first target token
    for name, weight in [("0→0", 0.7), ("0→1", 0.3), ("1→1", 0.5)]:
        assert ends[name][1] - ends[name][0] == pytest.approx(weight * width)
    assert ends["0→0"][1] == pytest.approx(ends["0→1"][0])  # side by side, not over another


def test_many_readers_share_the_edge_of_a_source_token():
    ax = figures.alignment(np.ones((3, 1)), ["年"], "abc")
    spans = []
    for patch in ribbons(ax).values():
        x, y = patch.get_path().vertices.T
        spans.append((x[y == y.max()].min(), x[y == y.max()].max()))
    spans.sort()
    assert all(left[1] == pytest.approx(right[0]) for left, right in pairwise(spans))
    box = next(p for p in ax.patches if p.get_gid() is None).get_window_extent()
    edges = ax.transData.transform([(spans[0][0], 0), (spans[-1][1], 0)])[:, 0]
    assert edges[0] >= box.x0 - 1 and edges[1] <= box.x1 + 1


def test_one_target_token_is_strong_and_the_others_faint():
    weights = weights_of(4, 6)
    ax = figures.alignment(weights, "令和6年3月", "2024", target=2)
    for name, patch in ribbons(ax).items():
        assert (patch.get_alpha() > 0.5) == name.startswith("2→")
        assert patch.get_alpha() > 0.5 or patch.get_alpha() <= 0.15
    boxes = [p for p in ax.patches if p.get_gid() is None]
    assert [p.get_facecolor() for p in boxes[:6]] == [
        figures.WEIGHTS(float(w)) for w in weights[2].double()
    ]
    assert to_rgb(boxes[6 + 2].get_edgecolor()) == to_rgb(palette.LIGHT["query"])
    heights = {t.get_text(): t.get_position()[1] for t in ax.texts}
    assert heights["source"] > heights["令"] > heights["4"] > heights["target"]


def test_each_token_is_joined_to_its_other_place_and_those_that_move_are_strong():
    ax = figures.reordering(["犬", "が", "人", "を"], [2, 1, 0, 3])
    above, beneath = np.split(np.array([t.get_position()[0] for t in ax.texts]), 2)
    ends = np.array([line.get_xdata() for line in ax.lines])
    np.testing.assert_allclose(ends[:, 1], beneath)
    np.testing.assert_allclose(ends[:, 0], above[[2, 1, 0, 3]])
    widths = [line.get_linewidth() for line in ax.lines]
    assert widths[0] == widths[2] > widths[1] == widths[3]


def test_points_stand_where_they_are_and_groups_share_a_colour():
    places = np.array([[0.0, 1.0], [2.0, -1.0], [-1.0, 3.0], [4.0, 4.0]])
    ax = figures.points(places, "abcd", groups={"one": [0, 2], "two": [1]}, pairs=[(0, 3)])
    np.testing.assert_allclose([text.xy for text in ax.texts], places)
    away = np.array([text.get_position() for text in ax.texts])
    assert (away[0] + away[3] == 0).all() and (away[0] < 0).all()  # the pair's outer sides
    colors = [to_hex(text.get_color()) for text in ax.texts]
    assert colors[0] == colors[2] and len(set(colors)) == 3
    np.testing.assert_allclose(ax.lines[0].get_xydata(), places[[0, 3]])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "two"]
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    assert left < -1 and right > 4 and low < -1 and high > 4


def test_marked_steps_of_attention_are_filled_and_no_others():
    ax = figures.attention_steps({"q": "turned", "k": "turned"})
    boxes = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    filled = {to_hex(box.get_facecolor()).upper() for box in boxes}
    assert filled == {palette.LIGHT[name] for name in ("paper", "query", "key")}
    assert [text.get_text() for text in ax.texts][-2:] == ["turned", "turned"]


def test_space_is_seen_at_the_ends_of_a_token():
    ax = figures.attention_heatmap(weights_of(3, 4), "abc", [" the", "\n", "a ", "a b"])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["␣the", "↵", "a␣", "a b"]
    bars = figures.bars({" a": 1.0}, xlabel="")
    assert [t.get_text() for t in bars.get_yticklabels()] == ["␣a"]


def test_single_characters_are_neither_turned_nor_dropped_in_a_wide_matrix():
    axes = figures.head_heatmaps(
        weights_of(4, 11, 21), [*"2024-03-05", "<eos>"], "Tuesday, 5 Mar 2024 火"
    )
    labels = axes[0].get_xticklabels()
    assert [t.get_text() for t in labels] == list("Tuesday,␣5␣Mar␣2024␣火")
    assert {t.get_rotation() for t in labels} == {0}
    low = figures.head_heatmaps(weights_of(16, 11, 21))
    low[0].figure.canvas.draw()
    names = [ax.yaxis.label for ax in low if ax.get_ylabel()]
    boxes = sorted((n.get_window_extent() for n in names), key=lambda box: -box.y1)
    assert all(above.y0 >= below.y1 for above, below in pairwise(boxes))


def test_bars_of_the_next_token_add_up_to_100_percent():
    probabilities = torch.tensor([0.05, 0.5, 0.2, 0.15, 0.06, 0.04])
    ax = figures.next_token_bars(probabilities, ["a", " the", "\n", "d", "e", "f"], top=3, chosen=0)
    names = [t.get_text() for t in ax.get_yticklabels()]
    assert names == ["␣the", "↵", "d", "a", "2 others"]
    widths = [bar.get_width() for bar in ax.patches]
    np.testing.assert_allclose(widths, [0.5, 0.2, 0.15, 0.05, 0.1], atol=1e-6)
    assert [t.get_text() for t in ax.texts] == ["50.0 %", "20.0 %", "15.0 %", "5.0 %", "10.0 %"]
    outlined = [bar.get_linewidth() > 1 for bar in ax.patches]
    assert outlined == [False, False, False, True, False]
    all_shown = figures.next_token_bars([1.0, 0.0], ["a", "b"])
    assert [t.get_text() for t in all_shown.texts] == ["100.0 %", "< 0.1 %"]


def test_every_step_is_a_row_of_pieces_as_wide_as_their_probability():
    ax = figures.next_token_rows(
        [[0.1, 0.6, 0.3], [0.8, 0.15, 0.05]], "abc", ["first", "second"], top=2, chosen=[0, 0]
    )
    assert [t.get_text() for t in ax.get_yticklabels()] == ["first", "second"]
    pieces = [(round(p.get_x(), 6), round(p.get_width(), 6)) for p in ax.patches]
    assert pieces == [(0, 0.6), (0.6, 0.3), (0.9, 0.1), (0, 0.8), (0.8, 0.15), (0.95, 0.05)]
    assert [p.get_linewidth() > 1 for p in ax.patches] == [False, False, True, True, False, False]
    assert [t.get_text() for t in ax.texts] == ["b", "c", "a", "a", "b"]


# What cannot be drawn.

NAN = float("nan")
WRONG = {
    "one dimension": (lambda: figures.attention_heatmap([0.5]), r"shape \(1,\), but \(queries, keys\)"),
    "four dimensions": (
        lambda: figures.attention_heatmap(weights_of(1, 2, 3, 3)),
        r"\(1, 2, 3, 3\).*choose one part, such as weights\[0, 0\]",
    ),
    "empty": (lambda: figures.attention_heatmap(torch.zeros(0, 3)), "holds nothing"),
    "ragged": (lambda: figures.attention_heatmap([[0.5, 0.5], [1.0]]), "give equal rows"),
    "words": (lambda: figures.attention_heatmap([["a", "b"]]), "no array of numbers"),
    "nothing": (lambda: figures.attention_heatmap(None), "weights"),
    "NaN": (lambda: figures.attention_heatmap([[0.5, NAN]]), r"nan at \(0, 1\)"),
    "infinite": (lambda: figures.signed_heatmap([[np.inf]]), r"inf at \(0, 0\)"),
    "scores": (lambda: figures.attention_heatmap([[3.2, -1.0]]), "from -1 to 3.2.*signed_heatmap"),
    "labels": (
        lambda: figures.attention_heatmap(weights_of(2, 3), ["a", "b"], ["c", "d"]),
        "keys has 2 entries; give 3",
    ),
    "float mask": (lambda: figures.attention_heatmap(weights_of(2, 2), mask=torch.ones(2, 2)), "boolean"),
    "mask shape": (
        lambda: figures.attention_heatmap(weights_of(2, 2), mask=causal_mask(3)),
        r"\(3, 3\), which does not broadcast to \(2, 2\)",
    ),
    "annotate": (lambda: figures.attention_heatmap(weights_of(17, 17), annotate=True), "at most 16"),
    "head titles": (lambda: figures.head_heatmaps(weights_of(2, 2, 2), titles=["a"]), "titles has 1"),
    "one head": (lambda: figures.head_heatmaps(weights_of(2, 2)), r"\(heads, queries, keys\)"),
    "limit": (lambda: figures.signed_heatmap([[1.0]], limit=0), "limit=0 is not positive"),
    "limit NaN": (lambda: figures.signed_heatmap([[1.0]], limit=NAN), "limit=nan"),
    "points": (
        lambda: figures.curves([1, 2], {"a": [1, 2, 3]}, xlabel="", ylabel=""),
        r"series\['a'\] has 3 entries; give 2",
    ),
    "three axes of runs": (
        lambda: figures.curves([1], {"a": np.ones((1, 1, 1))}, xlabel="", ylabel=""),
        r"series\['a'\] has shape \(1, 1, 1\)",
    ),
    "no lines": (lambda: figures.curves([1], {}, xlabel="", ylabel=""), "0 lines; use 1 to 8"),
    "too many lines": (
        lambda: figures.curves([1], {str(i): [1] for i in range(9)}, xlabel="", ylabel=""),
        "9 lines",
    ),
    "zero on a logarithm": (
        lambda: figures.curves([0, 1], {"a": [1, 2]}, xlabel="", ylabel="", log_x=True),
        "no logarithm",
    ),
    "no bars": (lambda: figures.bars({}, xlabel=""), "holds nothing"),
    "colour": (lambda: figures.bars({"a": 1.0}, xlabel="", color="red"), "color='red'.*accent"),
    "unequal panels": (
        lambda: figures.bar_panels({"x": {"a": 1.0}, "y": {"b": 1.0}}, xlabel=""),
        "same labels",
    ),
    "no tokens": (lambda: figures.token_row([]), "tokens is empty"),
    "token weights": (lambda: figures.token_row(["a"], [0.5, 0.5]), "weights has 2 entries; give 1"),
    "token query": (lambda: figures.token_row(["a"], query=1), "query=1 is not a token; use 0 to 0"),
    "dimension": (lambda: figures.positional_waves(TABLE, [70]), "d_model=64; use 0 to 63, the nearest is 63"),
    "no dimension": (lambda: figures.positional_waves(TABLE, []), "dimensions is empty"),
    "position": (
        lambda: figures.wave_views(TABLE, [0], 128, torch.ones(128)),
        "position=128.*0 to 127",
    ),
    "similarity": (lambda: figures.wave_views(TABLE, [0], 1, torch.ones(7)), "similarity has 7"),
    "vector of three": (lambda: figures.vectors({"a": (1, 2, 3)}), "vectors of 3 numbers"),
    "colour of nobody": (lambda: figures.vectors({"a": (1, 2)}, colors={"b": "key"}), "'b'"),
    "reference NaN": (
        lambda: figures.curves([1], {"a": [1]}, xlabel="", ylabel="", references={"floor": NAN}),
        r"references\['floor'\] holds nan",
    ),
    "reference on a logarithm": (
        lambda: figures.curves([1], {"a": [1]}, xlabel="", ylabel="", references={"floor": 0}, log_y=True),
        "floor holds 0, which has no logarithm",
    ),
    "x of others": (
        lambda: figures.curves({"a": [1]}, {"b": [1]}, xlabel="", ylabel=""),
        r"x names \['a'\] and series \['b'\]",
    ),
    "long alignment": (
        lambda: figures.alignment(weights_of(2, 17), "a" * 17, "ab"),
        "17 source_tokens make ribbons.*at most 16, or attention_heatmap",
    ),
    "wordy alignment": (
        lambda: figures.alignment(weights_of(2, 9), ["attention"] * 9, "ab"),
        "source_tokens do not fit on one line",
    ),
    "summed heads": (
        lambda: figures.alignment([[0.9, 0.9]], "ab", "c"),
        "row 0 of weights sums to 1.8.*mean over heads",
    ),
    "aligned scores": (lambda: figures.alignment([[3.0]], "a", "b"), "weights runs from 0 to 3"),
    "alignment shape": (
        lambda: figures.alignment(weights_of(2, 3), "ab", "abc"),
        "source_tokens has 2 entries; give 3",
    ),
    "alignment target": (
        lambda: figures.alignment(weights_of(2, 3), "abc", "ab", target=2),
        "target=2 is not a target token; use 0 to 1",
    ),
    "order that repeats": (lambda: figures.reordering("abc", [0, 0, 2]), r"use the numbers 0 to 2, each once"),
    "order of others": (lambda: figures.reordering("abc", [0, 1]), "does not name each place once"),
    "long reordering": (lambda: figures.reordering("a" * 17, range(17)), "17 tokens.*use 1 to 16"),
    "nothing reordered": (lambda: figures.reordering([], []), "0 tokens"),
    "wordy reordering": (
        lambda: figures.reordering(["attention"] * 9, range(9)),
        "tokens do not fit on one line",
    ),
    "points in space": (lambda: figures.points([[0, 1, 2]], ["a"]), "3 numbers a point; give two"),
    "point without label": (lambda: figures.points([[0, 1], [1, 1]], ["a"]), "labels"),
    "many groups": (lambda: figures.points([[0, 1]], ["a"], groups={name: [0] for name in "abcdefghi"}), "too many"),
    "pair of none": (lambda: figures.points([[0, 1]], ["a"], pairs=[(0, 1)]), "pairs"),
    "unknown step": (lambda: figures.attention_steps({"w": "?"}), "'w', which is no step; use.*'scores'"),
    "no distribution": (lambda: figures.next_token_bars([0.5, 0.2], "ab"), "sum to 0.7.*softmax"),
    "logits": (lambda: figures.next_token_bars([2.5, -1.0], "ab"), "from -1 to 2.5.*softmax"),
    "tokens of another vocabulary": (
        lambda: figures.next_token_bars([0.5, 0.5], "abc"),
        "tokens has 3 entries; give 2, one for each id",
    ),
    "chosen": (lambda: figures.next_token_bars([1.0], "a", chosen=1), "chosen=1.*use 0 to 0"),
    "top": (lambda: figures.next_token_bars([1.0], "a", top=0), "top=0 shows nothing"),
    "chosen steps": (
        lambda: figures.next_token_rows([[1.0]], "a", chosen=[0, 0]),
        "chosen has 2 ids; give 1, one for each step",
    ),
    "step names": (lambda: figures.next_token_rows([[1.0]], "a", ["x", "y"]), "steps has 2 entries"),
    "unknown part": (lambda: figures.model_map({"heart": "#"}), "'heart'.*'tokens'"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_get_a_sentence_and_leave_no_figure(name):
    call, sentence = WRONG[name]
    with pytest.raises(ValueError, match=f"(?s){sentence}"):
        call()
    assert plt.get_fignums() == []
