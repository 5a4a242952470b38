"""Taking heads and characters away: what is measured is the change, and nothing is left changed."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from lesson_tf import inspection
from lesson_tf.attention import MultiHeadAttention
from lesson_tf.dates import SOURCE_CHARACTERS
from lesson_tf.inspection import (
    KINDS,
    ablate_heads,
    head_off,
    heads_of,
    influence,
    peak_agreement,
    replacements,
)
from lesson_tf.transformer import LanguageModel, Transformer, TransformerConfig
from lesson_tf.translator import Translator, translator_config

SIZES = {"d_model": 8, "heads": 2, "dropout": 0.0}


def untrained_translator() -> Translator:
    model = Transformer(translator_config(16, 2)).eval()
    with torch.no_grad():
        model.output.weight.mul_(10.0)  # so that probabilities differ
    return Translator(model)


def test_heads_are_listed_in_the_order_of_the_layers():
    model = Transformer(TransformerConfig(9, 9, encoder_layers=1, decoder_layers=2, **SIZES))
    listed = heads_of(model)
    places = ["encoder 1"]
    for i in (1, 2):
        places += [f"decoder {i} self", f"decoder {i} cross"]
    assert [head.place for head in listed] == [place for place in places for _ in range(2)]
    assert [head.index for head in listed] == [0, 1] * 5
    assert listed[4].attention is model.decoder.layers[0].cross_attention
    assert listed[-1].name == "decoder 2 cross, head 2"


def test_a_language_model_has_heads_of_its_layers():
    model = LanguageModel(TransformerConfig(9, 9, decoder_layers=3, **SIZES))
    assert [head.place for head in heads_of(model)] == [f"layer {i}" for i in (1, 1, 2, 2, 3, 3)]
    assert heads_of(model)[2].attention is model.layers[1].self_attention


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("head", [0, 1, 3])
def test_a_head_that_is_off_is_a_head_whose_columns_of_w_o_are_zero(head, need_weights):
    attention, x = MultiHeadAttention(16, 4), torch.randn(2, 5, 16)
    without = copy.deepcopy(attention)
    with torch.no_grad():
        without.w_o.weight[:, 4 * head : 4 * head + 4] = 0.0
    with head_off(attention, head):
        output, _ = attention(x, need_weights=need_weights)
    torch.testing.assert_close(output, without(x)[0])
    assert not torch.allclose(output, attention(x)[0])


def test_all_is_as_before_afterwards_even_after_an_exception():
    attention, x = MultiHeadAttention(16, 4), torch.randn(2, 5, 16)
    weights, output = copy.deepcopy(attention.state_dict()), attention(x)[0]
    with pytest.raises(KeyboardInterrupt), head_off(attention, 2):
        assert not torch.equal(attention(x)[0], output)
        raise KeyboardInterrupt
    assert torch.equal(attention(x)[0], output)
    assert all(torch.equal(weights[name], now) for name, now in attention.state_dict().items())


def test_two_heads_off_at_once_and_one_twice():
    attention, x = MultiHeadAttention(16, 2), torch.randn(1, 3, 16)
    with head_off(attention, 0), head_off(attention, 1):
        torch.testing.assert_close(attention(x)[0], attention.w_o.bias.expand(1, 3, 16))
    with head_off(attention, 0):
        once = attention(x)[0]
        with head_off(attention, 0):
            assert torch.equal(attention(x)[0], once)
        assert torch.equal(attention(x)[0], once)


def test_ablation_measures_with_one_head_off_at_a_time():
    model = Transformer(TransformerConfig(9, 9, **SIZES)).eval()
    source, target = torch.randint(1, 9, (2, 5)), torch.randint(1, 9, (2, 4))
    before = model(source, target)
    found = ablate_heads(model, lambda: (model(source, target) - before).abs().max().item())
    assert list(found) == list(dict.fromkeys(head.place for head in heads_of(model)))
    assert all(len(values) == 2 and min(values) > 1e-4 for values in found.values())
    assert torch.equal(model(source, target), before)
    with head_off(model.decoder.layers[1].cross_attention, 1):
        alone = (model(source, target) - before).abs().max().item()
    assert found["decoder 2 cross"][1] == alone


def test_every_character_the_translator_reads_has_others_of_its_kind():
    assert sorted("".join(KINDS.values())) == sorted(SOURCE_CHARACTERS)
    for character in SOURCE_CHARACTERS:
        others = replacements(character)
        assert character not in others
        assert len(others) >= 7
        assert all(character in replacements(other) for other in others)


def test_influence_is_what_one_replacement_at_a_time_gives():
    translator, text = untrained_translator(), "R6.3.5"
    seen, found = translator.translate(text), influence(translator, text)
    vocabulary = translator.target_tokenizer.vocabulary
    written = [vocabulary[token] for token in seen.target_tokens]
    inputs = torch.tensor([[vocabulary["<bos>"], *written[:-1]]])
    assert found.shape == (len(written), len(text))
    for place, character in enumerate(text):
        falls = []
        for other in replacements(character):
            ids = translator.read(text[:place] + other + text[place + 1 :])
            probabilities = translator.model(torch.tensor([ids]), inputs)[0].softmax(-1)
            values = probabilities[range(len(written)), written]
            falls.append(torch.tensor(seen.token_probabilities) - values)
        expected = torch.stack(falls).mean(0)
        torch.testing.assert_close(found[:, place], expected, atol=1e-6, rtol=1e-4)
    assert found.abs().max() > 0.01


def test_influence_reads_a_text_as_the_translator_does():
    translator = untrained_translator()
    assert torch.equal(influence(translator, "　Ｒ６.3.5 "), influence(translator, "R6.3.5"))
    with pytest.raises(ValueError, match="there is nothing to read"):
        influence(translator, " ")


def test_agreement_counts_the_tokens_on_which_a_character_has_influence():
    translator, texts = untrained_translator(), ["R6.3.5", "5 May 2024"]
    # Low enough to count some tokens of an untrained model, and not all.
    least = float(influence(translator, texts[0]).amax(1).median())
    found = peak_agreement(translator, texts, least)
    names = ["mean of heads", "head 1", "head 2"]
    assert list(found) == [
        *(f"decoder {layer} cross, {name}" for layer in (1, 2) for name in names),
        "at random",
    ]
    hits, guesses = [], []
    for text in texts:
        falls = influence(translator, text)
        weights = translator.translate(text).cross_attention[1].mean(0)
        for row, fall in zip(weights, falls, strict=True):
            if fall.max() >= least:
                hits.append(int(row.argmax() == fall.argmax()))
                guesses.append(1 / len(text))
    assert 0 < len(hits) < sum(len(translator.translate(text).target_tokens) for text in texts)
    assert found["decoder 2 cross, mean of heads"] == sum(hits) / len(hits)
    assert found["at random"] == pytest.approx(sum(guesses) / len(guesses))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: heads_of(torch.nn.Linear(2, 2)), "model=Linear has no heads to list; give a Tr"),
        (lambda: enter(MultiHeadAttention(8, 4), 4), "head=4 is none of the 4; use 0 to 3"),
        (lambda: enter(MultiHeadAttention(8, 4), -1), "head=-1 is none of the 4; use 0 to 3"),
        (lambda: enter(MultiHeadAttention(8, 4), True), "head=True is none of the 4; use 0 to 3"),
        (lambda: enter("encoder 1", 0), "attention='encoder 1' has no heads; give a MultiHead"),
        (lambda: replacements("K"), "character='K' is of no kind; use one of 0123456789 "),
        (lambda: replacements("12"), "character='12' is of no kind; use one of 0123456789 "),
        (lambda: peak_agreement(untrained_translator(), []), r"texts=\[\] holds no texts; give"),
        (lambda: peak_agreement(untrained_translator(), "1"), "texts='1' is no list of texts"),
        (
            lambda: peak_agreement(untrained_translator(), ["1"], 2.0),
            "no character has an influence of least=2.0 on any token",
        ),
    ],
)
def test_wrong_arguments_get_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def enter(attention, head):
    with head_off(attention, head):
        pass


def test_neighbours_are_those_of_largest_cosine():
    table = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    cosines = nn.functional.cosine_similarity(table[:, None], table, dim=-1)
    for row in (0, 7, 19):
        found, values = inspection.nearest(table, row, most=19)
        others = [other for other in cosines[row].argsort(descending=True).tolist() if other != row]
        assert found.tolist() == others
        torch.testing.assert_close(values, cosines[row, found])


def test_principal_components_against_the_covariance():
    vectors = torch.randn(30, 5, generator=torch.Generator().manual_seed(0)).double()
    vectors[:, 0] *= 3
    coordinates, shares = inspection.principal_components(vectors, count=5)
    eigenvalues = torch.linalg.eigvalsh(vectors.T.cov()).flip(0)
    torch.testing.assert_close(shares, eigenvalues / eigenvalues.sum())
    torch.testing.assert_close(coordinates.T.cov(), eigenvalues.diag(), atol=1e-10, rtol=0)
    between = (torch.cdist(each, each) for each in (coordinates, vectors))
    torch.testing.assert_close(*between, atol=1e-6, rtol=0)
    assert (coordinates.amax(dim=0) >= -coordinates.amin(dim=0)).all()


def test_an_order_is_found_where_there_is_one_and_none_elsewhere():
    angles = torch.arange(10) * 0.25
    line = torch.stack((angles.cos(), angles.sin()), dim=-1)
    assert inspection.order_in(line)[1] == 0.0
    shuffled = line[torch.randperm(10, generator=torch.Generator().manual_seed(1))]
    assert inspection.order_in(shuffled)[1] > 0.05
    generator = torch.Generator().manual_seed(2)
    noise = (torch.randn(10, 64, generator=generator) for _ in range(30))
    shares = [inspection.order_in(vectors, shuffles=100)[1] for vectors in noise]
    assert 0.3 < sum(shares) / 30 < 0.7


def test_an_order_that_others_explain_is_taken_out_and_no_other():
    angles = torch.arange(10) * 0.25
    line = torch.stack((angles.cos(), angles.sin()), dim=-1)
    generator = torch.Generator().manual_seed(3)
    cause = line + 0.5 * torch.randn(10, 2, generator=generator)
    effect = cause + 0.1 * torch.randn(10, 2, generator=generator)
    assert inspection.order_in(effect)[1] < 0.01
    assert inspection.order_in(effect, beyond=cause)[1] > 0.1
    assert inspection.order_in(line, beyond=cause)[1] == 0.0


def test_partial_rank_correlation_is_that_of_the_textbook():
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 7, 3, generator=generator).double()
    pairs = [(i, j) for i in range(7) for j in range(i + 1, 7)]

    def ranks(vectors):
        cosines = nn.functional.cosine_similarity(vectors[:, None], vectors, dim=-1)
        distances = [1 - cosines[pair].item() for pair in pairs]
        return [sorted(distances).index(distance) for distance in distances]

    steps = [j - i for i, j in pairs]
    tied = [sum(s < step for s in steps) + (steps.count(step) - 1) / 2 for step in steps]
    x, y, _ = np.corrcoef([ranks(one), tied, ranks(other)])
    partial = (x[1] - x[2] * y[2]) / np.sqrt((1 - x[2] ** 2) * (1 - y[2] ** 2))
    assert inspection.order_in(one, shuffles=1)[0] == pytest.approx(x[1])
    assert inspection.order_in(one, beyond=other, shuffles=1)[0] == pytest.approx(partial)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: inspection.nearest(torch.eye(3), 3), "no row 3; use 0 to 2"),
        (lambda: inspection.nearest(torch.eye(3), 0, most=3), "most=3 neighbours.*use 1 to 2"),
        (lambda: inspection.principal_components(torch.eye(3), 4), "count=4.*use 1 to 3"),
        (lambda: inspection.order_in(torch.eye(2)), "2 vectors have no order"),
        (lambda: inspection.order_in(torch.eye(4), torch.eye(3)), "beyond has 3 vectors; give 4"),
    ],
)
def test_tables_that_cannot_be_inspected_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
