"""The explorer of merges cuts as the language model's tokenizer did at that point of its training."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from lesson_tf import explore, figures, language_model, palette
from lesson_tf.explore.byte_pairs import ALL_MERGES, TEXTS, readable
from lesson_tf.explore.element import pack

OWN = (
    "a",
    "é",
    " \n\t  x",
    "日本語 and English",
    "😀👍🏽",
    "$5 <b> {token} \u202e\x00\u200b",
    "a" * 200,
)


@pytest.fixture(scope="module")
def tokenizer():
    return language_model.load().tokenizer


def cells(tokenizer):
    counts = explore.merges().controls[1].stops
    return [(text, count) for text in (*TEXTS, *OWN) for count in counts]


def test_the_number_of_merges_is_the_tokenizers(tokenizer):
    assert len(tokenizer.merges) == ALL_MERGES == explore.merges().controls[1].high


def test_ids_and_labels_are_those_of_the_younger_tokenizer(tokenizer):
    for text, count in cells(tokenizer):
        state = explore.merges().state(text=text, merges=count)
        ids = tokenizer.after_merges(count).encode(text)
        assert state.arguments["ids"] == ids
        for label, token_id in zip(state.arguments["tokens"], ids, strict=True):
            decoded = tokenizer.decode([token_id])
            if "\ufffd" not in decoded and decoded.strip().isprintable() and decoded.strip():
                assert label.replace("␣", " ").replace("⏎", "\n").replace("⇥", "\t") == decoded


def test_origins_put_together_give_the_text_and_the_pairs_the_token(tokenizer):
    for text, count in cells(tokenizer):
        state = explore.merges().state(text=text, merges=count)
        origins = state.page["origins"]
        in_bytes = bytes.fromhex("".join(origin["bytes"] for origin in origins))
        assert in_bytes.decode() == text
        for origin, label in zip(origins, state.arguments["tokens"], strict=True):
            assert 0 <= origin["merge"] <= count
            assert (origin["merge"] == 0) == (len(bytes.fromhex(origin["bytes"])) == 1)
            if origin["merge"]:
                left, right = tokenizer.merges[origin["merge"] - 1]
                assert origin["pair"] == [readable(left), readable(right)]
                assert readable(left + right) == label


def test_the_sentence_tells_the_last_merge_that_joins_something(tokenizer):
    """Found without the tokens' ranks: one merge fewer, and the text is longer."""
    for text, count in cells(tokenizer):
        sentence = explore.merges().state(text=text, merges=count).sentence
        tokens = len(tokenizer.after_merges(count).encode(text))
        number = "1 token from" if tokens == 1 else f" {tokens} tokens from"
        assert number in sentence and f"{len(text) / tokens:.2f} characters a token" in sentence
        assert sentence.endswith(".") and len(sentence) <= 184
        if tokens == len(text.encode()):
            assert "was merge" not in sentence
            continue
        last = int(sentence.split("was merge ")[1].split(":")[0])
        assert len(tokenizer.after_merges(last).encode(text)) == tokens
        assert len(tokenizer.after_merges(last - 1).encode(text)) > tokens


def test_made_are_the_tokens_of_that_merge(tokenizer):
    state = explore.merges().state(text="the then", merges=128)
    last = int(state.sentence.split("was merge ")[1].split(":")[0])
    made = "".join(tokenizer.merges[last - 1])
    tokens = tokenizer.after_merges(128).tokenize("the then")
    assert state.arguments["made"] == [i for i, token in enumerate(tokens) if token == made] != []
    assert explore.merges().state(merges=0).arguments["made"] == []


def test_no_merge_of_the_documentation_joins_anything_in_japanese():
    for count in explore.merges().controls[1].stops:
        assert len(explore.merges().state(text=TEXTS[1], merges=count).arguments["ids"]) == 27


def test_what_the_lesson_says_the_first_merges_shorten_most():
    lengths = [
        len(explore.merges().state(merges=count).arguments["ids"]) for count in (0, 128, 767)
    ]
    assert lengths[0] - lengths[1] > 4 * (lengths[1] - lengths[2]) > 0


def test_nothing_and_too_much_get_a_sentence():
    with pytest.raises(ValueError, match="nothing to cut yet: type a text"):
        explore.merges().state(text="")
    with pytest.raises(ValueError, match="text has 201 characters; give at most 200"):
        explore.merges().state(text="a" * 201)
    with pytest.raises(ValueError, match="half a character"):
        explore.merges().state(text="\ud83d")
    with pytest.raises(ValueError, match="merges=768 is out of range"):
        explore.merges(merges=768)


def test_it_is_small():
    assert len(pack(explore.merges())) < 6_000


@pytest.mark.parametrize("text", [*TEXTS, "今日は" * 66, "a", "\n"])
def test_the_picture_holds_every_chip_apart_and_inside(text):
    state = explore.merges().state(text=text, merges=0)
    figure = Figure(figsize=(figures.TEXT_WIDTH, explore.merges().height))
    ax = figures.token_chips(**state.arguments, figure=figure)
    boxes = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    assert len(boxes) == len(state.arguments["ids"])
    corners = np.array([[b.get_x(), b.get_y(), b.get_width(), b.get_height()] for b in boxes])
    left, top, width, height = corners.T
    assert (left >= 0).all() and (left + width <= ax.get_xlim()[1]).all()
    assert (top + height <= ax.get_ylim()[0]).all()
    same_line = top[1:] == top[:-1]
    assert (left[1:] >= left[:-1] + width[:-1])[same_line].all()
    assert (top[1:] >= top[:-1] + height[:-1])[~same_line].all()


def test_chips_show_tokens_above_ids_and_outline_what_is_new():
    ax = figures.token_chips(["a", " b", "c"], [7, 8, 9], made=[1])
    assert [text.get_text() for text in ax.texts] == ["a", "7", "␣b", "8", "c", "9"]
    edges = [to_hex(patch.get_edgecolor()).upper() for patch in ax.patches]
    accent = palette.LIGHT["accent"].upper()
    assert [edge == accent for edge in edges] == [False, True, False]
    assert ax.patches[1].get_linewidth() > 2 * ax.patches[0].get_linewidth()
    fills = [to_hex(patch.get_facecolor()) for patch in ax.patches]
    assert fills[0] == fills[2] != fills[1]
    plt.close("all")


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (([], []), "tokens is empty"),
        ((["a"], [1, 2]), "ids"),
        ((["a"], [1], [1]), "made=1 is not a token"),
        ((["a"], [1], 3), "made"),
    ],
)
def test_chips_that_cannot_be_drawn(arguments, sentence):
    plt.close("all")
    tokens, ids, *made = arguments
    with pytest.raises(ValueError, match=sentence):
        figures.token_chips(tokens, ids, made=made[0] if made else ())
    assert plt.get_fignums() == []
