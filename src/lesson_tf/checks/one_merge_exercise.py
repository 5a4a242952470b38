"""What the exercise on one merge in chapter 2 must satisfy: count pairs, choose one, join it."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Generator

from lesson_tf.byte_pair_encoding import count_pairs, join_pair
from lesson_tf.checks.answers import Call
from lesson_tf.checks.closeness import same
from lesson_tf.checks.exercise import Exercise, Mistake, Property, Trial
from lesson_tf.checks.properties import agrees, has_shape

Pair = tuple[str, str]
Words = list[list[str]]


def draw_letters(generator: Generator, count: int) -> list[str]:
    """Draw different letters.

    >>> len(set(draw_letters(Generator().manual_seed(0), 4)))
    4
    """
    return [chr(97 + int(i)) for i in torch.randperm(26, generator=generator)[:count]]


def draw_number(generator: Generator, low: int, high: int) -> int:
    """Draw a whole number from low to high, both included.

    >>> draw_number(Generator().manual_seed(0), 3, 3)
    3
    """
    return int(torch.randint(low, high + 1, (), generator=generator))


def _calls(generator: Generator) -> list[Call]:
    a, b, c, d = sorted(draw_letters(generator, 4))
    many = draw_number(generator, 4, 9)
    drawn = [
        [(a, b, c)[draw_number(generator, 0, 2)] for _ in range(draw_number(generator, 2, 7))]
        for _ in range(6)
    ]
    counts = [draw_number(generator, 1, 5) for _ in drawn]

    def call(label: str, words: Words, *counts: int) -> Call:
        return Call({"words": words, "counts": list(counts)}, label)

    # Short ones first: a report cites the first that goes wrong.
    return [
        call("borders", [[a], [b, c]], many, 2),
        call("counts", [[c, d], [a, b, a, b]], many, 1),
        call("repeats", [[a, a, a, b], [a, a]], many, 2),
        # Counted without overlap, the pair a a would be the rarer one.
        call("overlap", [[a, a, a], [b, c]], many, many + 1),
        # The first met, the last met, the smallest and the largest are four different pairs.
        call("tie", [[b, a], [a, c], [c, b], [b, c]], many, many, many, many),
        call("twice", [[c, a, b, c, a, b], [a, b]], many, many),
        # Joined as text, the pair would also be found inside longer symbols.
        call("longer", [[a, b], [a, b + c], [c + a, b]], many, 1, 1),
        call("", drawn, *counts),
    ]


def _one_merge(words: Words, counts: list[int]) -> tuple[Pair, Words]:
    symbols = sorted({symbol for word in words for symbol in word})
    ids = {symbol: place for place, symbol in enumerate(symbols)}
    as_ids = [[ids[symbol] for symbol in word] for word in words]
    pairs = count_pairs(as_ids, counts)
    # Of equally frequent pairs the smallest: ids follow the order of the symbols.
    best = min(pairs, key=lambda pair: (-pairs[pair], pair))
    names = [*symbols, symbols[best[0]] + symbols[best[1]]]
    merged = [[names[i] for i in join_pair(word, best, len(symbols))] for word in as_ids]
    return (names[best[0]], names[best[1]]), merged


# --- The three parts of a merge, and how each goes wrong ----------------------------------------------


def _in_words(words: Words, counts: list[int]) -> Counter[Pair]:
    pairs: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in pairwise(word):
            pairs[pair] += count
    return pairs


def _across_words(words: Words, counts: list[int]) -> Counter[Pair]:
    repeated = [word * count for word, count in zip(words, counts, strict=True)]
    return Counter(pairwise(symbol for word in repeated for symbol in word))


def _without_counts(words: Words, counts: list[int]) -> Counter[Pair]:
    return _in_words(words, [1] * len(words))


def _across_and_without_counts(words: Words, counts: list[int]) -> Counter[Pair]:
    return _across_words(words, [1] * len(words))


def _without_overlap(words: Words, counts: list[int]) -> Counter[Pair]:
    pairs: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        ends: dict[Pair, int] = {}
        for place, pair in enumerate(pairwise(word)):
            if ends.get(pair, -1) < place:
                pairs[pair] += count
                ends[pair] = place + 1
    return pairs


def _smallest(pairs: Counter[Pair]) -> Pair:
    return min(pairs, key=lambda pair: (-pairs[pair], pair))


def _largest(pairs: Counter[Pair]) -> Pair:
    return max(pairs, key=lambda pair: (pairs[pair], pair))


def _first_met(pairs: Counter[Pair]) -> Pair:
    return max(pairs, key=pairs.__getitem__)


def _last_met(pairs: Counter[Pair]) -> Pair:
    return max(reversed(list(pairs)), key=pairs.__getitem__)


def join_symbols(word: list[str], pair: Pair) -> list[str]:
    """Join a pair wherever it stands in a word, from left to right.

    >>> join_symbols(["a", "a", "a", "b"], ("a", "a"))
    ['aa', 'a', 'b']
    """
    ids = {symbol: place for place, symbol in enumerate(dict.fromkeys([*word, *pair]))}
    names = [*ids, pair[0] + pair[1]]
    as_ids = [ids[symbol] for symbol in word]
    return [names[i] for i in join_pair(as_ids, (ids[pair[0]], ids[pair[1]]), len(ids))]


def join_as_text(word: list[str], pair: Pair) -> list[str]:
    """Join a pair as one replaces text, which also finds it inside longer symbols: a mistake.

    >>> join_as_text(["a", "bc"], ("a", "b"))
    ['abc']
    """
    return " ".join(word).replace(" ".join(pair), "".join(pair)).split(" ")


def join_first(word: list[str], pair: Pair) -> list[str]:
    """Join a pair only where it stands first in a word: a mistake.

    >>> join_first(["a", "b", "a", "b"], ("a", "b"))
    ['ab', 'a', 'b']
    """
    for place, found in enumerate(pairwise(word)):
        if found == pair:
            return [*word[:place], "".join(pair), *word[place + 2 :]]
    return word


def _join_overlapping(word: list[str], pair: Pair) -> list[str]:
    new, used = [], False
    for place, symbol in enumerate(word):
        starts = tuple(word[place : place + 2]) == pair
        if starts:
            new.append("".join(pair))
        elif not used:
            new.append(symbol)
        used = starts
    return new


def _not_joined(word: list[str], pair: Pair) -> list[str]:
    return word


def _wrong(
    count: Callable = _in_words, choose: Callable = _smallest, join: Callable = join_symbols
):
    def one_merge(words: Words, counts: list[int]) -> tuple[Pair, Words]:
        best = choose(count(words, counts))
        return best, [join(word, best) for word in words]

    return one_merge


# --- Properties -----------------------------------------------------------------------------------------


def _is_most_frequent(trials: Sequence[Trial]) -> str | None:
    """Complain about the first pair that is not the one wanted, and name both if the input is shown."""
    for trial in trials:
        found, wanted = trial.value[0], trial.expected[0]
        if not same(found, wanted):
            which = "another pair" if trial.call.private else f"{wanted}, not {found!r},"
            return f"With {trial.call.words()} {which} is the one to join."
    return None


def _letters_are_kept(trials: Sequence[Trial]) -> str | None:
    """Complain if the words no longer spell what they spelled, or if nothing was joined."""
    for trial in trials:
        given = trial.call.arguments["words"]
        if ["".join(word) for word in trial.value[1]] != ["".join(word) for word in given]:
            return f"With {trial.call.words()} the words do not spell the same any more."
        if trial.value[1] == given:
            return f"With {trial.call.words()} nothing was joined."
    return None


one_merge = Exercise(
    name="One merge",
    attempt="one_merge",
    reference=_one_merge,
    calls=_calls,
    properties=(
        has_shape("It returns a pair: the two symbols, and the words."),
        Property("The pair is the most frequent one within words.", _is_most_frequent, weight=2),
        Property("Words spell the same, with fewer symbols.", _letters_are_kept),
        agrees("The pair is joined wherever it stands.", pick=lambda found: found[1]),
    ),
    mistakes=(
        Mistake(
            "joins overlap: of `a a a` only the first two are joined. After a join, go on behind it.",
            _wrong(join=_join_overlapping),
        ),
        Mistake(
            "the pair is joined only where it stands first in a word; go on to the word's end.",
            _wrong(join=join_first),
        ),
        Mistake(
            "the pair is joined as text, so `a b` is found inside `a bc` too: compare whole symbols.",
            _wrong(join=join_as_text),
        ),
        Mistake(
            "pairs are counted across the border of two words: count inside each word alone.",
            _wrong(count=_across_words),
        ),
        Mistake(
            "the counts play no part: a word that occurs five times holds each of its pairs five times.",
            _wrong(count=_without_counts),
        ),
        Mistake(
            "two at once: pairs are counted across the border of two words, and the counts play no "
            "part. Count inside each word alone, as often as the word occurs.",
            _wrong(count=_across_and_without_counts),
        ),
        Mistake(
            "`a a a` is counted as one pair `a a`; count every two neighbours, so it holds two.",
            _wrong(count=_without_overlap),
        ),
        Mistake(
            "of equally frequent pairs the first one met is taken; take the smallest one, as Python "
            "orders pairs.",
            _wrong(choose=_first_met),
        ),
        Mistake(
            "of equally frequent pairs the last one met is taken; take the smallest one, as Python "
            "orders pairs.",
            _wrong(choose=_last_met),
        ),
        Mistake(
            "of equally frequent pairs the largest is taken; take the smallest one.",
            _wrong(choose=_largest),
        ),
        Mistake(
            "the pair is right, and the words are as they were: join it in them.",
            _wrong(join=_not_joined),
        ),
    ),
)
