"""The picture of a model shows what the module holds, and no label stands on another."""

from itertools import combinations

import pytest
import torch
from matplotlib import pyplot as plt

from lesson_tf import figures
from lesson_tf.model_summary import fold_layers, summarize
from lesson_tf.transformer import LanguageModel, Transformer, TransformerConfig
from lesson_tf.transformer_config import POSITIONS


@pytest.fixture(autouse=True)
def _style_and_no_figure_left():
    plt.close("all")
    figures.use_style()
    yield
    plt.close("all")
    plt.rcdefaults()


def build(kind=Transformer, vocab=(118, 14), **choices):
    with torch.device("meta"):
        return kind(TransformerConfig(*vocab, **choices))


def labels(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


LARGE = {"d_model": 512, "heads": 8, "encoder_layers": 6, "decoder_layers": 6, "d_ff": 2048}
MODELS = {
    **{f"{kind}": lambda kind=kind: build(positions=kind) for kind in POSITIONS},
    **{f"{kind}, pre": lambda k=kind: build(positions=k, norm_first=True) for kind in POSITIONS},
    "large": lambda: build(vocab=(37000, 37000), **LARGE),
    "large, tied": lambda: build(
        vocab=(37000, 37000), tie_embeddings=True, positions="learned", norm_first=True, **LARGE
    ),
    "uneven": lambda: build(encoder_layers=3, decoder_layers=1),
    "language model": lambda: build(
        LanguageModel, (1024, 1024), d_model=128, decoder_layers=4, d_ff=512, tie_embeddings=True,
        positions="learned", norm_first=True,
    ),
    "language model, post": lambda: build(LanguageModel, (50, 50), positions="alibi"),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_no_label_stands_on_another_or_leaves_the_picture(name):
    ax = figures.model_architecture(MODELS[name](), 40, 40, batch=32, title="A model")
    ax.figure.canvas.draw()
    texts = [text for text in ax.texts if text.get_text()]
    for text in texts:
        assert text.get_fontsize() / 72 * 700 / figures.TEXT_WIDTH >= 12
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= ax.figure.bbox.x1, text
        assert box.y0 >= 0 and box.y1 <= ax.figure.bbox.y1, text
    for one, other in combinations(texts, 2):
        a, b = one.get_window_extent(), other.get_window_extent()
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        # Boxes of text hold the room for what hangs below the line: a little overlap is none.
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across <= 1 or down <= 6, (one.get_text(), other.get_text())


@pytest.mark.parametrize("name", MODELS)
def test_numbers_and_bars_are_those_of_the_module(name):
    model = MODELS[name]()
    parts = fold_layers(summarize(model))
    ax = figures.model_architecture(model)
    shown = labels(ax)
    total = sum(parameter.numel() for parameter in model.parameters())
    assert f"{total:,} parameters" in shown
    bars = {patch.get_gid(): patch.get_width() for patch in ax.patches if patch.get_gid()}
    unit = max(part.parameters for part in parts)
    longest = max(bars[part.path] for part in parts)
    for part in parts:
        assert bars[part.path] == pytest.approx(longest * part.parameters / unit)
        if part.parameters:
            assert f"{part.parameters:,}" in shown
        assert str(part.output_shape) in " ".join(shown)
        assert part.name in shown or f"+ {part.name}" in shown


def test_the_sums_by_kind_add_up_to_the_total():
    model = build(positions="learned", norm_first=True)
    kinds = ["attention", "feed-forward", "embeddings", "positions", "output", "norms"]
    shown = labels(figures.model_architecture(model))
    start = shown.index("attention")
    assert shown[start : start + 12 : 2] == kinds
    sums = [int(text.replace(",", "")) for text in shown[start + 1 : start + 13 : 2]]
    assert sum(sums) == sum(parameter.numel() for parameter in model.parameters())


def test_layers_positions_norms_and_ties_are_named():
    post = labels(figures.model_architecture(build(encoder_layers=3, decoder_layers=1)))
    assert {"encoder layer × 3", "decoder layer × 1", "+ sinusoidal positions"} <= set(post)
    assert post.count("add and norm") == 5 and "norm" not in post and post.count("final norm") == 2
    rotary = labels(figures.model_architecture(build(positions="rotary", norm_first=True)))
    assert rotary.count("norm") == 5 and "add and norm" not in rotary
    assert rotary.count("4 heads of 16, rotary") == 2 and rotary.count("4 heads of 16") == 1
    assert (
        labels(figures.model_architecture(build(positions="alibi"))).count("4 heads of 16, ALiBi")
        == 2
    )
    none = labels(figures.model_architecture(build(positions="none")))
    assert none.count("no positions") == 2 and not any(text.startswith("+") for text in none)
    tied = labels(figures.model_architecture(build(tie_embeddings=True)))
    assert "tied to target embedding" in tied and "output" in tied
    alone = labels(figures.model_architecture(build(LanguageModel, decoder_layers=5)))
    assert "layer × 5" in alone and "cross-attention" not in alone and "source" not in alone


def test_the_memory_runs_from_the_encoder_to_the_cross_attention():
    ax = figures.model_architecture(build(), source_tokens=list("令和6年"), target_length=3)
    (memory,) = [line for line in ax.lines if line.get_gid() == "memory"]
    y = memory.get_ydata()
    cross = next(text for text in ax.texts if text.get_text() == "cross-attention")
    final = min(text.get_position()[1] for text in ax.texts if text.get_text() == "final norm")
    assert y[0] > final and abs(y[-1] - cross.get_position()[1]) < 0.25
    assert "memory (1, 4, 64): keys, values" in labels(ax)
    assert {"令", "和", "6", "年", "ids (1, 4)", "ids (1, 3)", "logits (1, 3, 14)"} <= set(
        labels(ax)
    )


def test_tokens_that_do_not_fit_are_counted_not_squeezed():
    ax = figures.model_architecture(build(), source_tokens=["word"] * 9, target_length=60)
    assert "word" not in labels(ax) and "…" in labels(ax) and "ids (1, 9)" in labels(ax)
    assert "logits (1, 60, 14)" in labels(ax)


WRONG = {
    "no tokens": (lambda: figures.model_architecture(build(), source_tokens=[]), "source_tokens is empty"),
    "both": (
        lambda: figures.model_architecture(build(), target_length=2, target_tokens=["a"]),
        "target_length=2 does not fit 1 target_tokens",
    ),
    "length": (lambda: figures.model_architecture(build(), 0), "source_length=0 is too small"),
    "module": (lambda: figures.model_architecture(torch.nn.Linear(1, 1)), "no known parts"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_get_a_sentence_and_leave_no_figure(name):
    call, sentence = WRONG[name]
    with pytest.raises(ValueError, match=sentence):
        call()
    assert plt.get_fignums() == []
