"""Decoding against what it must equal: exhaustive search, a plain loop, and the distribution itself."""

import itertools
import math

import pytest
import torch

from lesson_tf.decoding import Hypothesis, beam_search, greedy, next_token_probabilities, sample
from lesson_tf.transformer import LanguageModel, Transformer, TransformerConfig
from lesson_tf.transformer_config import POSITIONS

MODELS = [Transformer, LanguageModel]
UNEQUAL = [[4, 5, 6, 7, 8], [4], [5, 6, 7]]


def make(kind, positions="sinusoidal", norm_first=False, vocab=9, sharpness=1.7, **choices):
    """Make an untrained model whose choices differ from step to step."""
    config = TransformerConfig(
        vocab,
        vocab,
        d_model=16,
        heads=4,
        d_ff=32,
        positions=positions,
        norm_first=norm_first,
        **choices,
    )
    model = kind(config)
    for parameter in model.parameters():
        parameter.data *= sharpness
    return model


def tokens(texts):
    return [text.token_ids for text in texts]


def seeded_generator():
    return torch.Generator().manual_seed(5)


@torch.no_grad()
def distributions_of_many(model, row, texts):
    """Score every next token of texts of one length in one pass over the whole: no cache, no loop."""
    model.eval()
    if isinstance(model, Transformer):
        targets = torch.tensor([[2, *text] for text in texts])
        logits = model(torch.tensor([row] * len(texts)), targets)
    else:
        logits = model(torch.tensor([[*row, *text] for text in texts]))[:, len(row) - 1 :]
    return logits.double().log_softmax(-1)


def distributions(model, row, written):
    return distributions_of_many(model, row, [written])[0]


def log_probability(model, row, written, ended):
    wanted = [*written, 3] if ended else list(written)
    scored = distributions(model, row, written)
    return sum(scored[i, token].item() for i, token in enumerate(wanted))


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("eos_id", [3, None])
def test_the_cache_changes_no_token(kind, norm_first, positions, eos_id):
    model = make(kind, positions, norm_first)

    def write(how, *arguments, choices=dict):
        cached, whole = (
            how(model, UNEQUAL, *arguments, eos_id=eos_id, use_cache=use_cache, **choices())
            for use_cache in (True, False)
        )
        return cached, whole

    for length in (1, 24):
        cached, whole = write(greedy, length)
        assert tokens(cached) == tokens(whole)
        for one, other in zip(cached, whole, strict=True):
            assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4)
    cached, whole = write(beam_search, 3, 12)
    assert [tokens(row) for row in cached] == [tokens(row) for row in whole]
    cached, whole = write(sample, 12, choices=lambda: {"generator": seeded_generator()})
    assert tokens(cached) == tokens(whole)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("positions", POSITIONS)
def test_a_batch_writes_what_each_row_writes_alone(kind, positions):
    model = make(kind, positions)
    alone = [greedy(model, [row], 12)[0] for row in UNEQUAL]
    assert tokens(greedy(model, UNEQUAL, 12)) == tokens(alone)
    beams = [beam_search(model, [row], 3, 12)[0] for row in UNEQUAL]
    together = beam_search(model, UNEQUAL, 3, 12)
    assert [tokens(row) for row in together] == [tokens(row) for row in beams]


@pytest.mark.parametrize("kind", MODELS)
def test_a_padded_tensor_is_read_as_its_rows(kind):
    model = make(kind)
    padded = torch.tensor([[4, 5, 6, 7, 8], [4, 0, 0, 0, 0], [5, 6, 7, 0, 0]])
    assert tokens(greedy(model, padded, 12)) == tokens(greedy(model, UNEQUAL, 12))


@pytest.mark.parametrize("kind", MODELS)
def test_greedy_takes_the_most_probable_token_at_every_step(kind):
    model = make(kind)
    for row, text in zip(UNEQUAL, greedy(model, UNEQUAL, 12), strict=True):
        scored = distributions(model, row, text.token_ids)
        best = scored.argmax(-1).tolist()
        assert text.token_ids == best[: len(text.token_ids)]
        assert text.ended == (3 in best[: len(text.log_probabilities)])
        values = scored.amax(-1)[: len(text.log_probabilities)].tolist()
        assert text.log_probabilities == pytest.approx(values, abs=1e-5)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_a_beam_of_one_is_greedy(kind, length_penalty):
    for seed in range(10):
        torch.manual_seed(seed)
        model = make(kind)
        beams = beam_search(model, UNEQUAL, 1, 12, length_penalty)
        assert [row[0].token_ids for row in beams] == tokens(greedy(model, UNEQUAL, 12))
        assert all(len(row) == 1 for row in beams)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_beam_of_full_width_finds_what_exhaustive_search_finds(kind, length_penalty, seed):
    torch.manual_seed(seed)
    vocab, longest = 5, 4
    model = make(kind, vocab=vocab)
    others = [token for token in range(vocab) if token != 3]
    texts = list(itertools.product(others, repeat=longest))
    scored = distributions_of_many(model, [4, 1], texts)  # (texts, longest + 1, vocab)
    scores = {}
    for text, steps in zip(texts, scored.tolist(), strict=True):
        for length in range(longest + 1):
            wanted = [*text[:length], 3][:longest]  # the end, where there is room for it
            total = sum(step[token] for step, token in zip(steps, wanted, strict=False))
            scores[str(list(text[:length]))] = total / len(wanted) ** length_penalty
    best_first = sorted(scores, key=scores.get, reverse=True)
    [found] = beam_search(model, [[4, 1]], vocab**longest, longest, length_penalty)
    assert [str(text.token_ids) for text in found[:20]] == best_first[:20]
    assert found[0].score(length_penalty) == pytest.approx(scores[best_first[0]], abs=1e-5)
    assert len(found) == len(scores)


def test_a_wider_beam_is_never_less_probable_at_its_best_than_what_it_returns_second():
    model = make(Transformer)
    for width in (1, 2, 3, 8):
        for penalty in (0.0, 1.0):
            for row in beam_search(model, UNEQUAL, width, 12, penalty):
                scores = [text.score(penalty) for text in row]
                assert scores == sorted(scores, reverse=True)
                assert len({tuple(text.token_ids) for text in row}) == len(row) <= width


def test_a_beam_finds_what_greedy_misses():
    """Greedy takes 4 (0.6), whose continuations are unsure; the beam finds 5 (0.4), which is certain."""
    table = torch.full((9, 9), -1e4)
    table[2, 4], table[2, 5] = math.log(0.6), math.log(0.4)
    table[4, 6], table[4, 7] = math.log(0.55), math.log(0.45)
    table[5, 8], table[6, 3], table[7, 3], table[8, 3] = 0.0, 0.0, 0.0, 0.0

    class Table(LanguageModel):
        def forward(self, token_ids, record=None, cache=None):
            return table[token_ids]

    model = Table(TransformerConfig(9, 9, d_model=8))
    assert tokens(greedy(model, [[2]], use_cache=False)) == [[4, 6]]
    [row] = beam_search(model, [[2]], width=2, length_penalty=0.0, use_cache=False)
    assert row[0].token_ids == [5, 8]
    assert row[0].log_probability == pytest.approx(math.log(0.4))


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("shaping", [{}, {"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.6}])
def test_samples_come_as_often_as_the_distribution_says(kind, shaping):
    model = make(kind, sharpness=1.2)
    wanted = next_token_probabilities(distributions(model, [4, 5], [])[0].float(), **shaping)
    draws = 4000
    texts = sample(model, [[4, 5]] * draws, 1, eos_id=None, generator=seeded_generator(), **shaping)
    counts = torch.bincount(torch.tensor(tokens(texts)).squeeze(), minlength=9)
    assert not counts[wanted == 0].any()
    possible = wanted > 0
    deviation = (counts - draws * wanted)[possible] / (draws * wanted * (1 - wanted) + 1e-9)[
        possible
    ].sqrt()
    assert deviation.abs().max() < 4.5
    for text in texts[:20]:
        whole = distributions(model, [4, 5], [])[0, text.token_ids[0]].item()
        assert text.log_probabilities == pytest.approx([whole], abs=1e-5)


def test_whole_samples_come_as_often_as_the_product_of_their_steps():
    model = make(LanguageModel, vocab=4, sharpness=1.2)
    draws = 5000
    texts = sample(model, [[2]] * draws, 2, generator=seeded_generator())
    for written in ([0, 0], [0, 1], [1, 2], [0], []):
        ended = len(written) < 2
        probability = math.exp(log_probability(model, [2], written, ended))
        count = tokens(texts).count(written)
        assert abs(count - draws * probability) < 4.5 * math.sqrt(draws * probability) + 1


def test_temperature_sharpens_and_flattens():
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0])
    torch.testing.assert_close(next_token_probabilities(logits), logits.softmax(-1))
    torch.testing.assert_close(next_token_probabilities(logits, 2.0), (logits / 2).softmax(-1))
    torch.testing.assert_close(
        next_token_probabilities(logits, 1e-30), torch.tensor([1.0, 0.0, 0.0, 0.0])
    )
    torch.testing.assert_close(next_token_probabilities(logits, 1e30), torch.full((4,), 0.25))


def test_top_k_keeps_k_and_top_p_the_fewest_that_reach_p():
    probabilities = torch.tensor([0.1, 0.4, 0.2, 0.3])
    logits = probabilities.log()
    for top_k, kept in ((1, [1]), (2, [1, 3]), (3, [1, 2, 3]), (9, [0, 1, 2, 3])):
        shaped = next_token_probabilities(logits, top_k=top_k)
        assert shaped.nonzero().flatten().tolist() == kept
        torch.testing.assert_close(shaped[kept], probabilities[kept] / probabilities[kept].sum())
    for top_p, kept in (
        (1e-9, [1]),
        (0.39, [1]),
        (0.5, [1, 3]),
        (0.71, [1, 2, 3]),
        (1.0, [0, 1, 2, 3]),
    ):
        shaped = next_token_probabilities(logits, top_p=top_p)
        assert shaped.nonzero().flatten().tolist() == kept
    both = next_token_probabilities(logits, top_k=2, top_p=0.55)  # 0.4 of 0.7 is 0.57
    assert both.nonzero().flatten().tolist() == [1]


def test_equal_scores_are_cut_to_exactly_k():
    assert (next_token_probabilities(torch.zeros(2, 5), top_k=2) > 0).sum(-1).tolist() == [2, 2]


def test_dropout_rests_while_writing_and_returns_afterwards():
    model = make(Transformer).train()
    assert tokens(greedy(model, UNEQUAL, 12)) == tokens(greedy(model, UNEQUAL, 12))
    assert model.training and model.decoder.layers[0].self_residual.dropout.training
    model.eval()
    greedy(model, UNEQUAL, 2)
    assert not model.training


def test_the_score_is_the_sum_or_the_mean():
    text = Hypothesis([4, 5], [-1.0, -2.0, -3.0], ended=True)
    assert text.log_probability == -6
    assert text.score(0.0) == -6
    assert text.score(1.0) == -2


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("how", [greedy, sample, beam_search])
def test_a_refused_text_leaves_the_model_as_it_was(kind, how):
    model = make(kind).train()
    model.output.eval()
    for ids in ([[99]], [[-1]], [[10**30]], [[4], [5, 99]]):
        with pytest.raises(ValueError, match=r"token id .* is outside the vocabulary of 9; use 0"):
            how(model, ids)
    assert model.training and not model.output.training


@pytest.mark.parametrize("kind", MODELS)
def test_padding_at_the_beginning_changes_nothing(kind):
    model = make(kind)
    padded = torch.tensor([[4, 5, 6, 7, 8], [0, 0, 0, 0, 4], [0, 5, 6, 7, 0]])
    assert tokens(greedy(model, padded, 12)) == tokens(greedy(model, UNEQUAL, 12))


@pytest.mark.parametrize("how", [greedy, sample, beam_search])
def test_weights_that_are_no_numbers_get_a_sentence(how):
    model = make(Transformer)
    model.output.weight.data[3, 2] = math.nan
    with pytest.raises(ValueError, match="the scores hold nan or inf, or rule out every token"):
        how(model, UNEQUAL)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_extreme_temperatures_choose_one_token_or_all_alike(dtype):
    logits = torch.tensor([2.0, 1.0, -math.inf], dtype=dtype)
    cold, hot = (next_token_probabilities(logits, temperature=t) for t in (1e-320, 1e300))
    assert cold.tolist() == [1, 0, 0]
    assert hot.tolist() == pytest.approx([0.5, 0.5, 0], abs=1e-3)
