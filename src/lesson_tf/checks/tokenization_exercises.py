"""What the exercises of chapter 2 must satisfy: one merge, encoding by rank, a tied embedding."""

from collections import Counter
from itertools import pairwise

import torch
from torch import Generator, Tensor

from lesson_tf.byte_pair_encoding import BPETokenizer, count_pairs, join_pair
from lesson_tf.checks.answers import Call
from lesson_tf.checks.closeness import same
from lesson_tf.checks.exercise import Exercise, Mistake, Property, Variant
from lesson_tf.checks.properties import agrees, has_shape

Pair = tuple[str, str]
Words = list[list[str]]


def _letters(generator: Generator, count: int) -> list[str]:
    """Draw different letters."""
    return [chr(97 + int(i)) for i in torch.randperm(26, generator=generator)[:count]]


def _number(generator: Generator, low: int, high: int) -> int:
    return int(torch.randint(low, high + 1, (), generator=generator))


# --- One merge ----------------------------------------------------------------------------------------


def _merge_calls(generator: Generator) -> list[Call]:
    a, b, c, d = sorted(_letters(generator, 4))
    many = _number(generator, 4, 9)
    drawn = [
        [(a, b, c)[_number(generator, 0, 2)] for _ in range(_number(generator, 2, 7))]
        for _ in range(6)
    ]
    return [
        Call({"words": drawn, "counts": [_number(generator, 1, 5) for _ in drawn]}),
        Call({"words": [[a, a, a, b], [a, a]], "counts": [many, 2]}, "repeats"),
        Call({"words": [[c, a, b, c, a, b], [a, b]], "counts": [many, many]}, "twice"),
        Call({"words": [[a], [b, c]], "counts": [many, 2]}, "borders"),
        Call({"words": [[c, d], [a, b, a, b]], "counts": [many, 1]}, "counts"),
        Call({"words": [[b, a, c], [c, b, a], [a, c]], "counts": [many, 1, 1]}, "tie"),
        Call({"words": [[a, b + c], [a, b, c]], "counts": [many, 1]}, "longer"),
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


def _counted(words: Words, counts: list[int]) -> Counter[Pair]:
    pairs: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in pairwise(word):
            pairs[pair] += count
    return pairs


def _smallest_best(pairs: Counter[Pair]) -> Pair:
    return min(pairs, key=lambda pair: (-pairs[pair], pair))


def _joined(word: list[str], pair: Pair) -> list[str]:
    ids = {symbol: place for place, symbol in enumerate(dict.fromkeys([*word, *pair]))}
    names = [*ids, pair[0] + pair[1]]
    as_ids = [ids[symbol] for symbol in word]
    return [names[i] for i in join_pair(as_ids, (ids[pair[0]], ids[pair[1]]), len(ids))]


def _overlapping(words: Words, counts: list[int]) -> tuple[Pair, Words]:
    best = _smallest_best(_counted(words, counts))
    merged = []
    for word in words:
        new, used = [], False
        for place, symbol in enumerate(word):
            starts = tuple(word[place : place + 2]) == best
            if starts:
                new.append(best[0] + best[1])
            elif not used:
                new.append(symbol)
            used = starts
        merged.append(new)
    return best, merged


def _first_only(words: Words, counts: list[int]) -> tuple[Pair, Words]:
    best = _smallest_best(_counted(words, counts))
    merged = []
    for word in words:
        places = [place for place, pair in enumerate(pairwise(word)) if pair == best]
        at = places[0] if places else len(word)
        merged.append([*word[:at], *([best[0] + best[1]] if places else []), *word[at + 2 :]])
    return best, merged


def _across_words(words: Words, counts: list[int]) -> tuple[Pair, Words]:
    text = [s for word, count in zip(words, counts, strict=True) for s in word * count]
    best = _smallest_best(Counter(pairwise(text)))
    return best, [_joined(word, best) for word in words]


def _without_counts(words: Words, counts: list[int]) -> tuple[Pair, Words]:
    best = _smallest_best(_counted(words, [1] * len(words)))
    return best, [_joined(word, best) for word in words]


def _first_met(words: Words, counts: list[int]) -> tuple[Pair, Words]:
    pairs = _counted(words, counts)
    best = max(pairs, key=pairs.__getitem__)
    return best, [_joined(word, best) for word in words]


def _not_joined(words: Words, counts: list[int]) -> tuple[Pair, Words]:
    return _smallest_best(_counted(words, counts)), words


def _letters_are_kept(trials) -> str | None:
    """Complain if the words no longer spell what they spelled."""
    for trial in trials:
        given = ["".join(word) for word in trial.call.arguments["words"]]
        if ["".join(word) for word in trial.value[1]] != given:
            return f"With {trial.call.words()} the words do not spell the same any more."
        if trial.value[1] == trial.call.arguments["words"]:
            return f"With {trial.call.words()} nothing was joined."
    return None


one_merge = Exercise(
    name="One merge",
    attempt="one_merge",
    reference=_one_merge,
    calls=_merge_calls,
    properties=(
        has_shape("It returns a pair: the two symbols, and the words."),
        agrees("The pair is the most frequent one within words.", pick=lambda found: found[0]),
        Property("Words spell the same, with fewer symbols.", _letters_are_kept, weight=1),
        agrees("The pair is joined wherever it stands.", pick=lambda found: found[1]),
    ),
    mistakes=(
        Mistake(
            "pairs overlap: of `a a a` only the first two are joined. After a join, go on behind it.",
            _overlapping,
        ),
        Mistake(
            "the pair is joined only where it stands first in a word; go on to the word's end.",
            _first_only,
        ),
        Mistake(
            "pairs are counted across the border of two words: count inside each word alone.",
            _across_words,
        ),
        Mistake(
            "the counts play no part: a word that occurs five times holds each of its pairs five times.",
            _without_counts,
        ),
        Mistake(
            "of equally frequent pairs the first one met is taken; take the smallest one, as Python "
            "orders pairs.",
            _first_met,
        ),
        Mistake("the pair is right, and the words are as they were: join it in them.", _not_joined),
    ),
)

# --- Encode by rank -----------------------------------------------------------------------------------


def _rank_calls(generator: Generator) -> list[Call]:
    a, b, c, d = _letters(generator, 4)
    merges = [(b, c), (a, b), (a + b, c), (a, b + c), (b + c, d), (d, a)]
    tail = "".join((a, b, c, d)[_number(generator, 0, 3)] for _ in range(6))
    trained = BPETokenizer.train(_text(generator, (a, b, c, d)), vocab_size=256 + 8).merges
    long = "".join((a, b, c, d)[_number(generator, 0, 3)] for _ in range(14))
    return [
        Call({"word": a + b + c, "merges": merges}, "short"),
        Call({"word": a + b + c + d + a + b + c + tail, "merges": merges}),
        Call({"word": a + b + a + b + a, "merges": [(a, b), (a + b, a + b), (b, a)]}, "again"),
        Call({"word": c * 5, "merges": [(c, c), (c + c, c), (c + c, c + c)]}, "repeats"),
        Call({"word": long, "merges": trained}, "trained"),
        Call({"word": d, "merges": merges}, "one letter"),
        Call({"word": a + c, "merges": []}, "no merges"),
    ]


def _text(generator: Generator, letters: tuple[str, ...]) -> str:
    return " ".join(
        "".join(letters[_number(generator, 0, 3)] for _ in range(_number(generator, 2, 8)))
        for _ in range(60)
    )


def _encode_by_rank(word: str, merges: list[Pair]) -> list[str]:
    bytes_alone = BPETokenizer.train("", vocab_size=256).vocabulary
    made = dict.fromkeys(left + right for left, right in merges)
    vocabulary = {token: place for place, token in enumerate([*bytes_alone, *made])}
    return BPETokenizer(vocabulary, merges).tokenize(word)


def _longest_match(word: str, merges: list[Pair]) -> list[str]:
    known = {left + right for left, right in merges} | set(word)
    tokens, place = [], 0
    while place < len(word):
        end = max(e for e in range(place + 1, len(word) + 1) if word[place:e] in known)
        tokens.append(word[place:end])
        place = end
    return tokens


def _leftmost_first(word: str, merges: list[Pair]) -> list[str]:
    tokens = list(word)
    while True:
        places = [p for p, pair in enumerate(pairwise(tokens)) if pair in merges]
        if not places:
            return tokens
        at = places[0]
        tokens[at : at + 2] = [tokens[at] + tokens[at + 1]]


def _latest_first(word: str, merges: list[Pair]) -> list[str]:
    return _by_rank(word, merges, key=lambda rank: -rank)


def _by_rank(word: str, merges: list[Pair], key) -> list[str]:
    tokens, ranks = list(word), {pair: rank for rank, pair in enumerate(merges)}
    while True:
        known = [pair for pair in pairwise(tokens) if pair in ranks]
        if not known:
            return tokens
        tokens = _joined(tokens, min(known, key=lambda pair: key(ranks[pair])))


def _one_merge_only(word: str, merges: list[Pair]) -> list[str]:
    tokens, ranks = list(word), {pair: rank for rank, pair in enumerate(merges)}
    known = [pair for pair in pairwise(tokens) if pair in ranks]
    return _joined(tokens, min(known, key=ranks.__getitem__)) if known else tokens


def _letters_only(word: str, merges: list[Pair]) -> list[str]:
    return list(word)


def _spells_the_word(trials) -> str | None:
    """Complain if the tokens do not spell the word, or none of them is longer than a letter."""
    for trial in trials:
        if (
            not isinstance(trial.value, list)
            or "".join(trial.value) != trial.call.arguments["word"]
        ):
            return f"With {trial.call.words()} the tokens do not spell the word."
    if all(len(token) == 1 for trial in trials for token in trial.value):
        return "Nothing was ever joined."
    return None


encode_by_rank = Exercise(
    name="Encode by rank",
    attempt="encode_by_rank",
    reference=_encode_by_rank,
    calls=_rank_calls,
    properties=(
        Property("The tokens spell the word.", _spells_the_word),
        agrees(
            "A word to which no merge applies stays in letters.",
            ("one letter", "no merges"),
            weight=1,
        ),
        agrees("Short words are joined in the order of the ranks.", ("short", "again", "repeats")),
        agrees("So are long ones, with merges that were trained.", ("", "trained")),
    ),
    mistakes=(
        Mistake(
            "the longest known token is taken first. Byte-pair encoding applies merges in the order in "
            "which they were learned; the longest token may never come about.",
            _longest_match,
        ),
        Mistake(
            "the leftmost pair is joined first: of all pairs in the word, join the one with the lowest rank.",
            _leftmost_first,
        ),
        Mistake(
            "the merge learned last is applied first: the lowest rank comes first.", _latest_first
        ),
        Mistake("only one merge is applied: go on until no pair is known.", _one_merge_only),
        Mistake("no merge is applied: these are the letters.", _letters_only),
    ),
)

# --- Tied embedding -----------------------------------------------------------------------------------


def _tied_calls(generator: Generator) -> list[Call]:
    def call(vocab: int, d_model: int, batch: int, length: int, label: str = "") -> Call:
        return Call(
            {
                "table": torch.randn(vocab, d_model, generator=generator),
                "token_ids": torch.randint(vocab, (batch, length), generator=generator),
                "hidden": torch.randn(batch, length, d_model, generator=generator),
            },
            label,
        )

    return [call(11, 6, 2, 5), call(7, 9, 3, 4), call(8, 8, 2, 3, "square")]


def _tied(*, factor=0.5, transposed=False, scaled_logits=False, temperature=1.0):
    def tied_embedding(table: Tensor, token_ids: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        scale = table.shape[1] ** factor
        logits = torch.nn.functional.linear(hidden, table.T if transposed else table)
        return table[token_ids] * scale, logits * (scale if scaled_logits else 1.0) / temperature

    return tied_embedding


def _one_table(trials) -> str | None:
    """Complain unless each logit is a product with a row of the table, on the square one too."""
    for trial in trials:
        if not same(trial.value[1].argmax(-1), trial.expected[1].argmax(-1)):
            return f"With {trial.call.words()} the highest logit belongs to another token."
    return None


tied_embedding = Exercise(
    name="Tied embedding",
    attempt="tied_embedding",
    reference=_tied(),
    calls=_tied_calls,
    properties=(
        has_shape("It returns vectors (batch, length, d_model) and logits (batch, length, vocab)."),
        agrees("The vectors are rows of the table times √d_model.", pick=lambda pair: pair[0]),
        Property("The highest logit belongs to the nearest row.", _one_table),
        agrees("The logits are products with the rows.", pick=lambda pair: pair[1]),
    ),
    mistakes=(
        Mistake(
            "the factor is missing: multiply the looked-up rows by the square root of d_model.",
            _tied(factor=0.0),
        ),
        Mistake("the rows are divided by √d_model; multiply them by it.", _tied(factor=-0.5)),
        Mistake(
            "the table is turned the wrong way: each token's logit is the product with its *row*, so the "
            "table is transposed once, `hidden @ table.T`.",
            _tied(transposed=True),
        ),
        Mistake(
            "the logits are scaled as well: √d_model belongs to the looked-up vectors alone.",
            _tied(scaled_logits=True),
        ),
        Mistake("the factor is d_model; its square root is wanted.", _tied(factor=1.0)),
    ),
    variants=tuple(
        Variant(
            f"In your variant the logits are also divided by a temperature of {temperature}.",
            _tied(temperature=temperature),
        )
        for temperature in (0.5, 1.5, 2.0, 2.5, 4.0)
    ),
)
