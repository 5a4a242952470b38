import math
from collections import defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lesson_tf.corpus import split_texts, torch_documentation
from lesson_tf.n_gram import NGram
from lesson_tf.tokenization import SPECIAL_TOKENS, BPETokenizer

VOCAB = 4
texts_of_ids = st.lists(
    st.lists(st.integers(0, VOCAB - 1), min_size=2, max_size=12), min_size=1, max_size=4
)


def test_a_unigram_by_hand():
    # Predicted are 1, 1, 2, 1: once 2, three times 1; one token counted once, none twice: D = 1.
    model = NGram(1, VOCAB).fit([[0, 1, 1, 2, 1]])
    left_over = 1 * 2 / 4
    by_hand = [0, 2 / 4, 0, 0]
    for token, share in enumerate(by_hand):
        assert model.probability(token) == pytest.approx(share + left_over / VOCAB)


def test_a_bigram_by_hand():
    # Counts: 01 twice, 12 twice, 20 once, 13 once; D = 2 / (2 + 2 * 2) = 1/3.
    # Different tokens before: 0, 1, 2 and 3 have one each; D = 4 / (4 + 0) = 1, so the unigram is uniform.
    model = NGram(2, VOCAB).fit([[0, 1, 2, 0, 1, 2], [1, 3]])
    third, uniform = 1 / 3, 1 / VOCAB
    after_1 = third * 2 / 3  # the share that two followers give up
    assert model.probability(2, [1]) == pytest.approx((2 - third) / 3 + after_1 * uniform)
    assert model.probability(3, [1]) == pytest.approx((1 - third) / 3 + after_1 * uniform)
    assert model.probability(0, [1]) == pytest.approx(after_1 * uniform)
    assert model.probability(0, [3]) == pytest.approx(uniform)  # 3 was never followed by anything
    expected = -(math.log(model.probability(2, [1])) + math.log(model.probability(0, [2]))) / 2
    assert model.loss([[1, 2, 0]]) == pytest.approx(expected)


def test_a_token_that_follows_many_counts_more_than_one_that_follows_often():
    # 3 comes five times, always after 2 (San Francisco); 1 comes after 0, 2 and 3.
    model = NGram(2, 5).fit([[2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 1, 0, 1, 2, 1]])
    assert model.probability(1, [4]) > model.probability(3, [4])


class Reference:
    """Interpolated Kneser-Ney written down again, from sets of whole n-grams."""

    def __init__(self, order, sequences):
        self.order = order
        padded = [[-1] * (order - 2) + list(s) if order > 1 else list(s)[1:] for s in sequences]
        self.grams = [tuple(p[i : i + order]) for p in padded for i in range(len(p) - order + 1)]

    def count(self, gram):
        """How often, for a whole n-gram; else, how many different tokens came before."""
        missing = self.order - len(gram)
        if missing == 0:
            return self.grams.count(gram)
        return len({g[missing - 1] for g in self.grams if g[missing:] == gram})

    def discount(self, length):
        grams = {g[self.order - length :] for g in self.grams}
        once, twice = (sum(self.count(g) == n for g in grams) for n in (1, 2))
        return once / (once + 2 * twice) if once else 0.5

    def probability(self, token, context):
        gram = (*context, token)
        shorter = self.probability(token, context[1:]) if context else 1 / VOCAB
        counts = defaultdict(int)
        for other in range(VOCAB):
            counts[other] = self.count((*context, other))
        total = sum(counts.values())
        if total == 0:
            return shorter
        discount = self.discount(len(gram))
        followers = sum(count > 0 for count in counts.values())
        return max(counts[token] - discount, 0) / total + discount * followers / total * shorter


@given(texts_of_ids, st.integers(1, 4), st.data())
def test_probabilities_are_those_of_the_definition(sequences, order, data):
    model, reference = NGram(order, VOCAB).fit(sequences), Reference(order, sequences)
    context = tuple(
        data.draw(st.lists(st.integers(0, VOCAB - 1), min_size=order - 1, max_size=order - 1))
    )
    for token in range(VOCAB):
        assert model.probability(token, context) == pytest.approx(
            reference.probability(token, context)
        )


@given(texts_of_ids, st.integers(1, 5), st.lists(st.integers(0, VOCAB - 1), max_size=6))
def test_every_contexts_distribution_sums_to_one(sequences, order, context):
    model = NGram(order, VOCAB).fit(sequences)
    probabilities = [model.probability(token, context) for token in range(VOCAB)]
    assert math.fsum(probabilities) == pytest.approx(1)
    assert min(probabilities) > 0


@given(texts_of_ids, st.integers(1, 5))
def test_the_loss_is_the_mean_over_all_tokens_but_the_first(sequences, order):
    model = NGram(order, VOCAB).fit(sequences)
    losses = [
        -math.log(model.probability(ids[i], ids[:i]))
        for ids in sequences
        for i in range(1, len(ids))
    ]
    assert model.loss(sequences) == pytest.approx(sum(losses) / len(losses))


def test_ids_may_come_as_arrays_and_tensors():
    ids = [[0, 1, 2, 1], [1, 1, 2, 3]]
    expected = NGram(3, VOCAB).fit(ids).loss(ids)
    for given_ids in (np.array(ids), torch.tensor(ids), [torch.tensor(ids[0]), ids[1]]):
        assert NGram(3, VOCAB).fit(given_ids).loss(given_ids) == expected


@pytest.fixture(scope="module")
def documentation():
    """Ids of the training texts and of the held-out ones, with an end to begin and to close each."""
    training, validation = split_texts(torch_documentation())
    tokenizer = BPETokenizer.train(training, 1024, SPECIAL_TOKENS)

    def encoded(texts):
        return [[tokenizer.bos_id, *tokenizer.encode(text), tokenizer.eos_id] for text in texts]

    return encoded(training), encoded(validation)


def test_longer_memory_predicts_documentation_better(documentation):
    training, validation = documentation
    losses = {order: NGram(order, 1024).fit(training).loss(validation) for order in (1, 2, 5)}
    assert losses[5] < losses[2] < losses[1] < math.log(1024)
    assert losses[2] == pytest.approx(3.24, abs=0.01)
    assert losses[5] == pytest.approx(2.11, abs=0.01)


def test_what_was_seen_is_predicted_better(documentation):
    training, validation = documentation
    model = NGram(5, 1024).fit(training)
    assert model.loss(training[:40]) < 0.5 * model.loss(validation)
