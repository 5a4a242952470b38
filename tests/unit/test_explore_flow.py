"""The explorer of the flow shows what each part of the shipped translator leaves behind."""

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from lesson_tf import explore, figures, palette, translator
from lesson_tf.explore.element import pack
from lesson_tf.explore.flow import LEVELS, LIMIT, TEXTS, stages
from lesson_tf.transformer import TransformerConfig

OWN = ("2", "昭和", "10000 BC", "no" * 32, "Tuesday, March 5th, 2024")
LAST = 14


@pytest.fixture(scope="module")
def reader():
    return translator.load()


def test_stages_are_the_parts_in_order():
    config = TransformerConfig(9, 9, encoder_layers=1, decoder_layers=2)
    kinds = ["embedding", "self", "forward", "norm", "embedding", "self", "cross", "forward"]
    kinds += ["self", "cross", "forward", "norm", "output"]
    assert [stage.kind for stage in stages(config)] == kinds
    assert [stage.layer for stage in stages(config)] == [0, 1, 1, 0, 0, 1, 1, 1, 2, 2, 2, 0, 0]
    assert {stage.stack for stage in stages(config)[:4]} == {"encoder"}


def passes(reader, text):
    """Run the parts one by one: every state of both streams, and the weights of each attention."""
    model, seen = reader.model, reader.translate(text)
    vocabulary = reader.target_tokenizer.vocabulary
    written = ["<bos>", *seen.target_tokens[:-1]]
    with torch.no_grad():
        x = model.source_embedding(torch.tensor([reader.read(text)]))
        states, weights = [x], [None]
        for layer in model.encoder.layers:
            said, seen_there = layer.self_attention(
                layer.attention_residual.norm(x), need_weights=True
            )
            middle = x + said
            x = middle + layer.feed_forward(layer.feed_forward_residual.norm(middle))
            states += [middle, x]
            weights += [seen_there, None]
        memory = model.encoder.norm(x)
        states.append(memory)
        weights.append(None)
        x = model.target_embedding(torch.tensor([[vocabulary[token] for token in written]]))
        mask = torch.ones(len(written), len(written), dtype=torch.bool).tril()
        states.append(x)
        weights.append(None)
        for layer in model.decoder.layers:
            said, own = layer.self_attention(
                layer.self_residual.norm(x), mask=mask, need_weights=True
            )
            first = x + said
            said, cross = layer.cross_attention(
                layer.cross_residual.norm(first), memory, need_weights=True
            )
            second = first + said
            x = second + layer.feed_forward(layer.feed_forward_residual.norm(second))
            states += [first, second, x]
            weights += [own, cross, None]
        states.append(model.decoder.norm(x))
        weights.append(None)
        return states, weights, model.output(states[-1]).softmax(-1)[0]


@pytest.mark.parametrize("text", [*TEXTS, *OWN])
def test_every_stage_shows_what_its_part_leaves_behind(reader, text):
    states, weights, probabilities = passes(reader, text)
    explorer = explore.flow()
    for stage, (state, read) in enumerate(zip(states, weights, strict=True)):
        shown = explorer.state(text=text, stage=stage).arguments
        torch.testing.assert_close(shown["stream"], state[0], atol=1e-4, rtol=1e-4)
        lengths = np.sqrt((state[0].double().numpy() ** 2).sum(-1))
        np.testing.assert_allclose(shown["norms"], lengths, rtol=1e-4)
        assert shown["shape"].startswith(f"{state.shape[1]} × 64: ")
        assert len(shown["tokens"]) == state.shape[1]
        if stage in (0, 6):
            assert "turns" not in shown
        else:
            before, after = (states[place][0].double().numpy() for place in (stage - 1, stage))
            inner = (before * after).sum(-1)
            cosine = inner / np.linalg.norm(before, axis=-1) / np.linalg.norm(after, axis=-1)
            np.testing.assert_allclose(
                np.cos(np.radians(shown["turns"].numpy())), cosine, atol=1e-4
            )
        if read is None:
            assert "weights" not in shown and shown["note"]
        else:
            torch.testing.assert_close(shown["weights"], read[0].mean(0), atol=1e-4, rtol=1e-4)
            assert len(shown["keys"]) == read.shape[-1]
    shown = explorer.state(text=text, stage=LAST).arguments
    torch.testing.assert_close(shown["probabilities"], probabilities, atol=1e-4, rtol=1e-4)
    assert "".join(shown["written"]).removesuffix("<eos>") == reader.translate(text).text


@pytest.mark.parametrize("text", [*TEXTS, *OWN])
def test_the_sentence_names_what_turned_most(text):
    explorer = explore.flow()
    for stage in range(LAST + 1):
        state = explorer.state(text=text, stage=stage)
        assert state.sentence.endswith(".") and len(state.sentence) <= 184, state.sentence
        assert "{" not in state.sentence
        if " turns most" not in state.sentence:
            continue
        shown = state.arguments
        most = shown["turns"].argmax()
        token = shown["tokens"][most].replace(" ", "␣")
        if shown["tokens"].count(shown["tokens"][most]) > 1:
            token += f" (place {most + 1})"
        assert f"{token} turns most, by {shown['turns'][most]:.0f}°" in state.sentence
        if "weights" in shown:
            assert f"with weight {shown['weights'][most].max():.2f}." in state.sentence


def test_the_memory_is_evenly_long_and_the_output_sure():
    explorer = explore.flow()
    before, memory = (explorer.state(stage=stage).arguments["norms"] for stage in (4, 5))
    expected = (
        f"Norms between {before.min():.1f} and {before.max():.1f} become norms between "
        f"{memory.min():.1f} and {memory.max():.1f}."
    )
    assert explorer.state(stage=5).sentence.startswith(expected)
    assert memory.max() / memory.min() < 1.2 < before.max() / before.min()
    assert "give 2024-03-05." in explorer.state(stage=LAST).sentence


@pytest.mark.parametrize("text", ["", "   ", "é", "<script>", "😀", "\x00"])
def test_what_cannot_be_read_gets_the_translators_sentence(reader, text):
    with pytest.raises(ValueError) as expected:
        reader.translate(text)
    with pytest.raises(ValueError) as error:
        explore.flow().state(text=text)
    assert str(error.value) == str(expected.value)


@pytest.mark.parametrize("text", TEXTS)
def test_the_prediction_is_taken_from_the_text(reader, text):
    asked = explore.flow(text).prediction
    states, _, _ = passes(reader, text)
    cosines = [torch.cosine_similarity(states[i + 1], states[i], dim=-1) for i in (0, 1)]
    attention, forward = (np.degrees(np.arccos(each.numpy())).mean() for each in cosines)
    assert asked.right == ("more" if forward > attention else "less")
    assert f"by {attention:.0f}° on average, feed-forward by {forward:.0f}°." in asked.because
    assert abs(attention - forward) > 2  # clear enough to ask for
    assert explore.flow(text).at(**asked.moves).state().arguments["title"].endswith("feed-forward")


def test_attention_turns_more_than_feed_forward_in_most_dates(reader):
    """The lesson and the question stand on this; they name one text, and most are like it."""
    first = []
    for example in translator.held_out_examples(per_style=1):
        turned = [
            explore.flow().state(text=example.text, stage=s).arguments["turns"] for s in (1, 2)
        ]
        first.append(turned[0].mean() > turned[1].mean())
    assert sum(first) / len(first) > 0.9


def test_the_page_gets_the_stream_as_colours_and_room_for_the_largest_part():
    for text in TEXTS:
        states = [explore.flow().state(text=text, stage=stage) for stage in range(LAST)]
        for state in states:
            shown = state.page["stream"] / state.page["limit"] * LIMIT
            within = state.arguments["stream"].clamp(-LIMIT, LIMIT)
            assert (shown - within).abs().max() <= LIMIT / LEVELS
        rooms = {state.page["room"] for state in states}
        assert rooms == {max(len(state.arguments["tokens"]) for state in states)}
    assert len(pack(explore.flow())) < 30_000


# The picture.


@pytest.fixture(autouse=True)
def _style_and_no_figure_left():
    figures.use_style()
    yield
    plt.close("all")
    plt.rcdefaults()


def arguments(**changes):
    chance = torch.Generator().manual_seed(1)
    stream = torch.randn(3, 8, generator=chance)
    weights = torch.randn(3, 3, generator=chance).softmax(-1)
    given = {"tokens": ["a", " ", "b"], "place": 1, "layers": (2, 2), "stream": stream}
    given |= {"norms": stream.norm(dim=-1), "turns": [10.0, 20.0, 90.0]}
    return given | {"weights": weights, "keys": ["x", "y", "z"]} | changes


def test_the_picture_shows_the_arrays_and_lights_one_part():
    given = arguments()
    ax = figures.residual_flow(**given, title="here", shape="3 × 8", figure=Figure())
    vectors, _, weights, _ = ax.images
    np.testing.assert_allclose(vectors.get_array(), given["stream"], rtol=1e-6)
    np.testing.assert_allclose(weights.get_array(), given["weights"], rtol=1e-6)
    assert vectors.get_clim() == (-8, 8) and weights.get_clim() == (0, 1)
    accent = palette.LIGHT["accent"].lower()
    boxes = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    assert [to_hex(box.get_facecolor()) == accent for box in boxes].index(True) == 1
    assert len(boxes) == 15
    texts = [text.get_text() for text in ax.texts]
    assert {"here", "3 × 8", "␣", "10°", "90°", "memory", "attention, mean of heads"} <= set(texts)
    assert f"{given['norms'][0]:.1f}" in texts


def test_causal_hides_the_future():
    ax = figures.residual_flow(**arguments(causal=True))
    assert (
        ax.images[2].get_array().mask.tolist() == np.triu(np.ones((3, 3)), 1).astype(bool).tolist()
    )
    assert sum(bool(patch.get_hatch()) for patch in ax.patches) == 2


@pytest.mark.parametrize("stage", range(LAST + 1))
def test_every_stage_is_drawn_within_the_picture(stage):
    explorer = explore.flow()
    for text in (*TEXTS, "no" * 32):
        figure = Figure(figsize=(figures.TEXT_WIDTH, explorer.height))
        shown = explorer.state(text=text, stage=stage).arguments
        ax = figures.residual_flow(**shown, figure=figure)
        figure.draw_without_rendering()
        width, height = figure.get_size_inches() * figure.dpi
        for label in ax.texts:
            box = label.get_window_extent()
            assert box.x0 >= -2 and box.x1 <= width + 2, label
            assert box.y0 >= -2 and box.y1 <= height + 2, label


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"place": 15}, "place=15 is no part of the model; use 0 to 14"),
        ({"stream": None}, "give either stream, with norms, or probabilities"),
        ({"stream": [[1.0], [2.0]]}, "has 2 entries; give 3"),
        ({"norms": [1.0]}, "norms has 1 entries; give 3"),
        ({"norms": None}, "norms is missing"),
        ({"weights": torch.ones(3, 3) * 2}, "attention weights lie between 0 and 1"),
        ({"keys": ["x"]}, "keys has 1 entries; give 3"),
        ({"turns": [1.0, 2.0]}, "turns has 2 entries; give 3"),
        (
            {"stream": None, "probabilities": torch.ones(3, 2) * 2},
            "probabilities lie between 0 and 1",
        ),
        (
            {"stream": None, "probabilities": torch.ones(3, 2), "vocabulary": ["a"]},
            "vocabulary has 1",
        ),
    ],
)
def test_what_cannot_be_drawn(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        figures.residual_flow(**arguments(**change))
    assert not plt.get_fignums()
