"""The explorer of the next token shows what the shipped language model gives, and what shapes it."""

import math

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from lesson_tf import explore, figures, language_model
from lesson_tf.explore.element import pack
from lesson_tf.explore.language_model import PROMPTS, VOCABULARY, percent

OWN = ("", "import", "x = torch.zeros(3, 4)\n", "今日は", "😀", "The " * 100)


@pytest.fixture(scope="module")
def writer():
    return language_model.load()


def shape_by_hand(logits, temperature, top_k, top_p):
    """Shape a distribution token by token, in float64 and by the definition."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    probabilities = np.exp(scaled - scaled.max())
    ranking = np.argsort(-probabilities, kind="stable")[:top_k]
    within = probabilities[ranking] / probabilities[ranking].sum()
    kept, total = [], 0.0
    for token, share in zip(ranking, within, strict=True):
        if total >= top_p:
            break
        kept.append(token)
        total += share
    shaped = np.zeros_like(probabilities)
    shaped[kept] = probabilities[kept] / probabilities[kept].sum()
    return shaped


def entropy(probabilities):
    return sum(p * math.log(1 / p) for p in probabilities if p > 0)


@pytest.mark.parametrize("prompt", [*PROMPTS, *OWN])
@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [
        (1.0, 1024, 1.0),
        (0.5, 1024, 0.5),
        (2.0, 50, 0.95),
        (1.4, 1, 0.9),
        (0.7, 5, 0.8),
        (1.0, 3, 1.0),
    ],
)
def test_it_shows_what_the_definition_gives(writer, prompt, temperature, top_k, top_p):
    state = explore.next_token().state(
        prompt=prompt, temperature=temperature, top_k=top_k, top_p=top_p
    )
    with torch.no_grad():
        logits = writer.model(torch.tensor([writer.read(prompt)]))[0, -1]
    before = shape_by_hand(logits, 1.0, VOCABULARY, 1.0)
    after = shape_by_hand(logits, temperature, top_k, top_p)
    best = np.argsort(-before, kind="stable")[:10]
    shown = [np.append(each[best], 1 - each[best].sum()) for each in (before, after)]
    np.testing.assert_allclose(state.arguments["before"], shown[0], atol=2e-5)
    np.testing.assert_allclose(state.arguments["after"], shown[1], atol=2e-5)
    kept = min(top_k, VOCABULARY) if top_p == 1 else int((after > 0).sum())
    assert state.arguments["kept"] == kept
    names = [writer.name(int(token)) for token in best]
    assert [name.replace("␣", " ") for name in state.arguments["tokens"]] == [
        name.replace("\n", "⏎").replace("\t", "⇥") for name in names
    ]
    if kept == 1:
        assert state.sentence.startswith(f"Only {state.arguments['tokens'][0]} remains")
    else:
        assert f"{kept:,} of 1,024 tokens" in state.sentence or kept == VOCABULARY
    assert f"{entropy(after):.2f} nats." in state.sentence
    assert len(state.sentence) <= 184


def test_the_prompts_differ_in_how_sure_the_model_is():
    first = {
        prompt: explore.next_token().state(prompt=prompt).arguments["before"][0].item()
        for prompt in PROMPTS
    }
    assert max(first, key=first.get) == PROMPTS[1] and first[PROMPTS[1]] > 0.95
    assert min(first, key=first.get) == PROMPTS[2] and first[PROMPTS[2]] < 0.15


def test_what_the_lesson_says_of_a_share(writer):
    kept = {p: explore.next_token().state(prompt=p).arguments["kept"] for p in PROMPTS}
    assert kept[PROMPTS[1]] == 1 and kept[PROMPTS[2]] > 10


def test_no_stop_moves_one_token_past_another():
    explorer = explore.next_token()
    for values in explorer.grid():
        shares = explorer.state(**values).arguments["after"][:-1]
        assert (shares.diff() <= 0).all()


def test_the_page_shows_the_numbers_of_the_picture():
    explorer = explore.next_token()
    for values in explorer.grid():
        state = explorer.state(**values)
        for name in ("before", "after"):
            shown = [percent(share) for share in state.page[name].tolist()]
            assert shown == [percent(share) for share in state.arguments[name].tolist()]


def test_the_prediction_is_right(writer):
    prediction = explore.next_token().prediction
    with torch.no_grad():
        logits = writer.model(torch.tensor([writer.read(PROMPTS[0])]))[0, -1]
    now, hotter = (
        int((shape_by_hand(logits, temperature, VOCABULARY, 0.5) > 0).sum())
        for temperature in (1.0, 2.0)
    )
    assert prediction.question.startswith(f"Top-p 0.5 keeps {now} tokens here.")
    assert (prediction.right, hotter > now) == ("more", True)
    assert prediction.right in prediction.choices and f"the same {now}" in prediction.choices
    assert f" {hotter} tokens " in prediction.because
    moved = explore.next_token().state(**prediction.moves)
    assert moved.arguments["kept"] == hotter
    assert explore.next_token().state().arguments["kept"] == now


def test_what_cannot_be_a_prompt_gets_a_sentence():
    with pytest.raises(ValueError, match="prompt has 401 characters; give at most 400"):
        explore.next_token("a" * 401)
    with pytest.raises(ValueError, match="half a character"):
        explore.next_token().state(prompt="\ud83d")


def test_all_its_states_are_small():
    assert len(pack(explore.next_token())) < 12_000


# The picture.

TOKENS = ["a", " b", "c"]
BEFORE, AFTER = [0.5, 0.25, 0.15, 0.1], [0.7, 0.3, 0.0, 0.0]


def test_bars_are_as_long_as_their_shares_and_what_is_cut_is_hatched():
    ax = figures.next_token_shaping(TOKENS, BEFORE, AFTER, kept=2, vocabulary=1024)
    bars = [patch for patch in ax.patches if patch.get_facecolor()[3]]
    outlines = [patch for patch in ax.patches if not patch.get_facecolor()[3]]
    assert [bar.get_width() for bar in bars] == AFTER[:2]
    assert [outline.get_width() for outline in outlines] == BEFORE
    assert [bool(outline.get_hatch()) for outline in outlines] == [False, False, True, True]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["a", "␣b", "c", "1,021 others"]
    texts = [text.get_text() for text in ax.texts]
    assert texts[2:] == ["50.0 %", "70.0 %", "25.0 %", "30.0 %", "15.0 %", "cut", "10.0 %", "cut"]
    plt.close("all")


def test_numbers_and_bars_do_not_overlap():
    explorer = explore.next_token()
    figure = Figure(figsize=(figures.TEXT_WIDTH, explorer.height))
    state = explorer.state(prompt=PROMPTS[1], top_k=1)
    ax = figures.next_token_shaping(**state.arguments, figure=figure)
    figure.draw_without_rendering()
    right = max(patch.get_window_extent().x1 for patch in ax.patches)
    boxes = [text.get_window_extent() for text in ax.texts]
    assert right < min(box.x0 for box in boxes)
    assert max(box.x1 for box in boxes) <= figure.bbox.x1
    before, after = boxes[0::2], boxes[1::2]
    assert all(one.x1 < other.x0 for one, other in zip(before, after, strict=True))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"before": [0.5, 0.25, 0.25]}, "before"),
        ({"before": [0.5, 0.25, 0.25, 0.5]}, "before sums to 1.5, but a distribution sums to 1"),
        ({"after": [1.5, -0.5, 0.0, 0.0]}, "after"),
        ({"kept": 0}, "kept=0 is not in the vocabulary; use 1 to 1024"),
        ({"kept": 1025}, "kept=1025"),
        ({"kept": 1.5}, "kept=1.5 counts no tokens"),
        ({"vocabulary": 3}, "vocabulary=3 has no tokens besides the 3 named"),
    ],
)
def test_what_cannot_be_drawn(change, sentence):
    plt.close("all")
    arguments = {"tokens": TOKENS, "before": BEFORE, "after": AFTER, "kept": 2, "vocabulary": 1024}
    with pytest.raises(ValueError, match=sentence):
        figures.next_token_shaping(**arguments | change)
    assert plt.get_fignums() == []
