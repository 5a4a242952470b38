"""What two exercises of chapter 2 must satisfy: encoding by rank, a tied embedding."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor

from lesson_tf.byte_pair_encoding import BYTE_SYMBOLS, BPETokenizer
from lesson_tf.checks.answers import Call
from lesson_tf.checks.closeness import same
from lesson_tf.checks.exercise import Exercise, Mistake, Property, Trial, Variant, carried_over
from lesson_tf.checks.one_merge_exercise import (
    Pair,
    draw_letters,
    draw_number,
    join_as_text,
    join_first,
    join_symbols,
)
from lesson_tf.checks.properties import agrees, has_shape, kind_of

# --- Encode by rank -----------------------------------------------------------------------------------


def _rank_calls(generator: Generator) -> list[Call]:
    a, b, c, d = draw_letters(generator, 4)
    merges = [(b, c), (a, b), (a + b, c), (a, b + c), (b + c, d), (d, a)]
    tail = "".join((a, b, c, d)[draw_number(generator, 0, 3)] for _ in range(6))
    trained = BPETokenizer.train(_text(generator, (a, b, c, d)), vocab_size=256 + 8).merges
    long = "".join((a, b, c, d)[draw_number(generator, 0, 3)] for _ in range(14))
    # Short ones first: a report cites the first that goes wrong.
    return [
        Call({"word": d, "merges": [(a, b)]}, "one letter"),
        Call({"word": a + c, "merges": []}, "no merges"),
        Call({"word": a + b + c, "merges": [(b, c), (a, b)]}, "short"),
        Call({"word": a + b + c, "merges": merges}, "short"),
        Call({"word": a + b + a + b + a, "merges": [(a, b), (a + b, a + b), (b, a)]}, "again"),
        Call({"word": c * 5, "merges": [(c, c), (c + c, c), (c + c, c + c)]}, "repeats"),
        Call({"word": a + b + c + d + a + b + c + tail, "merges": merges}),
        Call({"word": long, "merges": trained}, "trained"),
    ]


def _text(generator: Generator, letters: tuple[str, ...]) -> str:
    return " ".join(
        "".join(letters[draw_number(generator, 0, 3)] for _ in range(draw_number(generator, 2, 8)))
        for _ in range(60)
    )


def _encode_by_rank(word: str, merges: list[Pair]) -> list[str]:
    made = dict.fromkeys(left + right for left, right in merges)
    vocabulary = {token: place for place, token in enumerate([*BYTE_SYMBOLS, *made])}
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
        tokens = join_symbols(tokens, min(known, key=lambda pair: key(ranks[pair])))


def _one_merge_only(word: str, merges: list[Pair]) -> list[str]:
    tokens, ranks = list(word), {pair: rank for rank, pair in enumerate(merges)}
    known = [pair for pair in pairwise(tokens) if pair in ranks]
    return join_symbols(tokens, min(known, key=ranks.__getitem__)) if known else tokens


def _once_each(join: Callable[[list[str], Pair], list[str]]):
    """Return encoding that goes through the merges once, and joins each in its own way."""

    def encode_by_rank(word: str, merges: list[Pair]) -> list[str]:
        tokens = list(word)
        for merge in merges:
            tokens = join(tokens, merge)
        return tokens

    return encode_by_rank


def _letters_only(word: str, merges: list[Pair]) -> list[str]:
    return list(word)


def _spells_the_word(trials: Sequence[Trial]) -> str | None:
    """Complain if the tokens are no list, do not spell the word, or are all single letters."""
    for trial in trials:
        with_what = f"With {trial.call.words()}"
        if not isinstance(trial.value, list):
            return f"{with_what} it returns {kind_of(trial.value)}; a list of tokens is wanted."
        if "".join(trial.value) != trial.call.arguments["word"]:
            return f"{with_what} the tokens do not spell the word."
    if all(len(token) == 1 for trial in trials for token in trial.value):
        return "Nothing was ever joined."
    return None


encode_by_rank = Exercise(
    name="Encode by rank",
    attempt="encode_by_rank",
    reference=_encode_by_rank,
    calls=_rank_calls,
    properties=(
        Property("It returns a list of tokens that spell the word.", _spells_the_word),
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
        Mistake(
            "each merge is applied at one place only: join the pair wherever it stands in the word.",
            _once_each(join_first),
        ),
        Mistake(
            "pairs are joined as text, so `a b` is found inside `a bc` too: compare whole tokens.",
            _once_each(join_as_text),
        ),
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


def _tied(*, factor=0.5, axis=1, transposed=False, logits_factor=0.0):
    def tied_embedding(table: Tensor, token_ids: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        logits = torch.nn.functional.linear(hidden, table.T if transposed else table)
        logits = logits * table.shape[1] ** logits_factor
        return table[token_ids] * table.shape[axis] ** factor, logits

    return tied_embedding


def _tempered(temperature: float) -> Callable[[Callable], Callable]:
    """Return what divides the logits of any tied embedding by a temperature."""

    def change(tied: Callable) -> Callable:
        def tied_embedding(table: Tensor, token_ids: Tensor, hidden: Tensor):
            vectors, logits = tied(table, token_ids, hidden)
            return vectors, logits / temperature

        return tied_embedding

    return change


def _ranks_the_tokens(trials: Sequence[Trial]) -> str | None:
    """Complain if the highest logit is another token's: no scale of the logits can cause that."""
    for trial in trials:
        if kind_of(trial.value[1]) != kind_of(trial.expected[1]):
            return f"With {trial.call.words()} the logits are not there, in the right shape."
        if not same(trial.value[1].argmax(-1), trial.expected[1].argmax(-1)):
            return f"With {trial.call.words()} the highest logit belongs to another token."
    return None


_TIED_MISTAKES = (
    Mistake(
        "the factor is missing: multiply the looked-up rows by the square root of d_model.",
        _tied(factor=0.0),
    ),
    Mistake("the rows are divided by √d_model; multiply them by it.", _tied(factor=-0.5)),
    Mistake(
        "the table is turned the wrong way: each token's logit is the product with its row, so the "
        "table is transposed once, `hidden @ table.T`.",
        _tied(transposed=True),
    ),
    Mistake(
        "the logits are scaled as well: √d_model belongs to the looked-up vectors alone.",
        _tied(logits_factor=0.5),
    ),
    Mistake(
        "the logits are divided by √d_model: the plain product with the rows is wanted.",
        _tied(logits_factor=-0.5),
    ),
    Mistake(
        "the factor stands on the wrong side: multiply the looked-up vectors by √d_model, not the "
        "logits.",
        _tied(factor=0.0, logits_factor=0.5),
    ),
    Mistake(
        "the factor is the square root of the number of tokens; take that of d_model, the length "
        "of a row.",
        _tied(axis=0),
    ),
    Mistake(
        "two at once: the factor √d_model is missing, and the table is turned the wrong way. Each "
        "token's logit is the product with its row, `hidden @ table.T`.",
        _tied(factor=0.0, transposed=True),
    ),
    Mistake("the factor is d_model; its square root is wanted.", _tied(factor=1.0)),
)

tied_embedding = Exercise(
    name="Tied embedding",
    attempt="tied_embedding",
    reference=_tied(),
    calls=_tied_calls,
    properties=(
        has_shape("It returns vectors (batch, length, d_model) and logits (batch, length, vocab)."),
        agrees("The vectors are rows of the table times √d_model.", pick=lambda pair: pair[0]),
        Property("The highest logit belongs to the right token.", _ranks_the_tokens),
        agrees("The logits are products with the rows.", pick=lambda pair: pair[1]),
    ),
    mistakes=_TIED_MISTAKES,
    variants=tuple(
        Variant(
            f"In your variant the logits are also divided by a temperature of {temperature}.",
            _tempered(temperature)(_tied()),
            carried_over(_TIED_MISTAKES, _tempered(temperature)),
        )
        for temperature in (0.5, 1.5, 2.0, 2.5, 4.0)
    ),
)
