"""N-gram language models: the next token by counting what followed the same few tokens before.

They are the baseline of the neural language model: what it predicts better, it does not owe to short memory.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from numbers import Integral

from lesson_tf.vocabulary import describe, whole_numbers

Gram = tuple[int, ...]

# Stands in contexts before the first token of a sequence; it is never predicted.
_START = -1


class NGram:
    """A language model of the last `order - 1` tokens, smoothed by interpolated Kneser-Ney.

    Every count gives up a discount D; what is given up goes to the model of a context one token shorter, which counts
    not how often a token came but after how many different tokens. Below the shortest stands the uniform distribution.

    Raises ValueError for an order or a vocabulary below 1.

    Source: Chen and Goodman (1999): absolute discounting for D = n1 / (n1 + 2 n2), where n1 and n2 are the numbers of
    n-grams counted once and twice, and Kneser-Ney smoothing for the rest.

    >>> model = NGram(order=2, vocab_size=3).fit([[0, 1, 0, 1, 0, 2]])
    >>> round(model.probability(1, context=[0]), 2), round(model.probability(0, context=[0]), 2)
    (0.64, 0.04)
    """

    def __init__(self, order: int, vocab_size: int):
        _check_at_least_one(order=order, vocab_size=vocab_size)
        self.order, self.vocab_size = order, vocab_size
        self._levels: list[_Level] = []

    def fit(self, sequences) -> "NGram":
        """Count the tokens of sequences of ids (lists, arrays or tensors); give back the model itself.

        Raises ValueError for an id outside the vocabulary, and where no sequence has two tokens.
        """
        counts = Counter(chain.from_iterable(map(self._grams, _read(sequences, self.vocab_size))))
        levels = []
        for _ in range(self.order):
            levels.append(_Level(counts))
            # One token shorter: how many different tokens came before.
            counts = Counter(gram[1:] for gram in counts)
        self._levels = levels[::-1]
        return self

    def probability(self, token: int, context=()) -> float:
        """Give the probability of a token after a context, of which the last `order - 1` tokens count.

        A context shorter than that is taken as the beginning of a sequence. Raises ValueError before `fit`.
        """
        (ids,) = _read([[0, *whole_numbers(context), token]], self.vocab_size)
        start = [_START] * (self.order - 1)
        return self._probability((*start, *ids[1:])[-self.order :])

    def loss(self, sequences) -> float:
        """Give the mean of −ln p over all tokens but the first of each sequence, in nats a token.

        The first token is given, not predicted, as it is for a neural language model.
        Raises ValueError before `fit`, for an id outside the vocabulary, and where no sequence has two tokens.
        """
        grams = chain.from_iterable(map(self._grams, _read(sequences, self.vocab_size)))
        losses = [-math.log(self._probability(gram)) for gram in grams]
        return math.fsum(losses) / len(losses)

    def _grams(self, sequence: Sequence[int]) -> Iterator[Gram]:
        """Go through each token but the first, with the `order - 1` tokens before it."""
        padded = (*[_START] * (self.order - 2), *sequence)
        first = 1 if self.order == 1 else 0
        for start in range(first, len(padded) - self.order + 1):
            yield tuple(padded[start : start + self.order])

    def _probability(self, gram: Gram) -> float:
        if not self._levels:
            raise ValueError("the model has counted nothing yet; call fit first")
        probability = 1 / self.vocab_size
        for length, level in enumerate(self._levels):
            context = gram[self.order - 1 - length : -1]
            probability = level.interpolate(gram[-1], context, probability)
        return probability


class _Level:
    """The counts of one length of context, and their discount."""

    def __init__(self, counts: Counter[Gram]):
        self.discount = _discount(counts)
        self.followers: defaultdict[Gram, dict[int, int]] = defaultdict(dict)
        for gram, count in counts.items():
            self.followers[gram[:-1]][gram[-1]] = count
        self.totals = {context: sum(tokens.values()) for context, tokens in self.followers.items()}

    def interpolate(self, token: int, context: Gram, shorter: float) -> float:
        """Mix the discounted share of a token with what the shorter context says of it."""
        if context not in self.totals:
            return shorter
        followers, total = self.followers[context], self.totals[context]
        share = max(followers.get(token, 0) - self.discount, 0) / total
        return share + self.discount * len(followers) / total * shorter


def _discount(counts: Counter[Gram]) -> float:
    """Set D from the number of n-grams counted once and twice; a half where none was counted once.

    With D = 0 nothing would be left for what was never seen.
    """
    times = Counter(counts.values())
    return times[1] / (times[1] + 2 * times[2]) if times[1] else 0.5


def _check_at_least_one(**sizes) -> None:
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, Integral):
            raise ValueError(f"{name}={describe(size)} is no whole number; use 1 or more")
        if size < 1:
            raise ValueError(f"{name}={describe(size)} is too small; use 1 or more")


def _read(sequences, vocab_size: int) -> list[list[int]]:
    """Read sequences of ids, as lists, arrays or tensors."""
    if isinstance(sequences, str | bytes) or not isinstance(sequences, Iterable):
        raise ValueError(
            f"sequences={describe(sequences)} are no sequences of ids; give lists such as encode makes"
        )
    read = [whole_numbers(ids) for ids in sequences]
    for token_id in chain.from_iterable(read):
        if not 0 <= token_id < vocab_size:
            raise ValueError(
                f"token id {describe(token_id)} is outside the vocabulary of {vocab_size}; use 0 to {vocab_size - 1}"
            )
    if not any(len(ids) > 1 for ids in read):
        raise ValueError(
            "no sequence has two tokens; give lists of token ids, such as encode makes"
        )
    return read
