"""The checks of chapter 2, tried with attempts as learners write them."""

import itertools
import random
from collections import Counter

import pytest
import torch
from tokenizers import Tokenizer, models

from lesson_tf import checks
from lesson_tf.checks.answers import answer_all

# --- Right, in other ways ---------------------------------------------------------------------------


def merge_by_text(words, counts):
    pairs = Counter()
    for word, count in zip(words, counts, strict=True):
        for i in range(len(word) - 1):
            pairs[word[i], word[i + 1]] += count
    most = max(pairs.values())
    best = sorted(pair for pair, number in pairs.items() if number == most)[0]
    new_words = []
    for word in words:
        new = []
        for symbol in word:
            if new and (new[-1], symbol) == best and new[-1] is not None:
                new[-1] = best[0] + best[1]
                new.append(None)  # What was just joined cannot be joined again.
            else:
                if new and new[-1] is None:
                    new.pop()
                new.append(symbol)
        new_words.append([symbol for symbol in new if symbol is not None])
    return best, new_words


def encode_merge_by_merge(word, merges):
    tokens = list(word)
    for left, right in merges:
        i = 0
        while i < len(tokens) - 1:
            if tokens[i] == left and tokens[i + 1] == right:
                tokens[i : i + 2] = [left + right]
            i += 1
    return tokens


def encode_pair_by_pair(word, merges):
    tokens = list(word)
    while True:
        known = [
            (merges.index(pair), i)
            for i, pair in enumerate(itertools.pairwise(tokens))
            if pair in merges
        ]
        if not known:
            return tokens
        _, i = min(known)
        tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]


def tied_by_einsum(table, token_ids, hidden):
    one_hot = torch.nn.functional.one_hot(token_ids, len(table)).to(table.dtype)
    return one_hot @ table * table.size(1) ** 0.5, torch.einsum("btd,vd->btv", hidden, table)


def tied_in_float64(table, token_ids, hidden):
    linear = torch.nn.Linear(*reversed(table.shape), bias=False, dtype=torch.float64)
    linear.weight.data = table.double()
    rows = torch.nn.functional.embedding(token_ids, table.double())
    return rows * table.shape[-1] ** 0.5, linear(hidden.double())


RIGHT = [
    (checks.one_merge, merge_by_text),
    (checks.encode_by_rank, encode_merge_by_merge),
    (checks.encode_by_rank, encode_pair_by_pair),
    (checks.tied_embedding, tied_by_einsum),
    (checks.tied_embedding, tied_in_float64),
]
SEEDS = range(1, 21)


def judged(check, attempt, seed):
    calls = check.calls_from(seed, private=True)
    return check.judge(calls, answer_all(attempt, calls))


@pytest.mark.parametrize(("check", "attempt"), RIGHT, ids=[r[1].__name__ for r in RIGHT])
def test_another_right_way_passes(check, attempt):
    assert check(attempt), str(check(attempt))
    for seed in SEEDS:
        assert judged(check, attempt, seed), str(judged(check, attempt, seed))


# --- Wrong ------------------------------------------------------------------------------------------


def pairs_of(words, counts):
    pairs = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in itertools.pairwise(word):
            pairs[pair] += count
    return pairs


def best_of(pairs):
    return min(pairs, key=lambda pair: (-pairs[pair], pair))


def join(word, best):
    new, i = [], 0
    while i < len(word):
        if tuple(word[i : i + 2]) == best:
            new.append("".join(best))
            i += 2
        else:
            new.append(word[i])
            i += 1
    return new


def merge_overlapping(words, counts):
    best = best_of(pairs_of(words, counts))
    out = []
    for word in words:
        new = []
        skip = False
        for i, symbol in enumerate(word):
            if tuple(word[i : i + 2]) == best:
                new.append("".join(best))
                skip = True
            elif skip:
                skip = False
            else:
                new.append(symbol)
        out.append(new)
    return best, out


def merge_across_words(words, counts):
    everything = []
    for word, count in zip(words, counts, strict=True):
        everything += list(word) * count
    best = best_of(Counter(itertools.pairwise(everything)))
    return best, [join(word, best) for word in words]


def merge_without_counts(words, counts):
    best = best_of(pairs_of(words, [1 for _ in words]))
    return best, [join(word, best) for word in words]


def merge_most_common(words, counts):
    best = pairs_of(words, counts).most_common(1)[0][0]
    return best, [join(word, best) for word in words]


def merge_chosen_by(key):
    def one_merge(words, counts):
        pairs = pairs_of(words, counts)
        best = max(pairs, key=lambda pair: key(pairs, pair))
        return best, [join(word, best) for word in words]

    return one_merge


def merge_last_of_equals(words, counts):
    pairs, best = pairs_of(words, counts), None
    for pair, number in pairs.items():
        if best is None or number >= pairs[best]:
            best = pair
    return best, [join(word, best) for word in words]


def merge_without_overlap(words, counts):
    pairs = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in set(itertools.pairwise(word)):
            i = 0
            while i < len(word) - 1:
                found = tuple(word[i : i + 2]) == pair
                pairs[pair] += count * found
                i += 1 + found
    best = best_of(pairs)
    return best, [join(word, best) for word in words]


def merge_one_long_list(words, counts):
    best = best_of(Counter(itertools.pairwise(symbol for word in words for symbol in word)))
    return best, [join(word, best) for word in words]


def replace_text(word, best):
    return " ".join(word).replace(" ".join(best), "".join(best)).split()


def merge_as_text(words, counts):
    best = best_of(pairs_of(words, counts))
    return best, [replace_text(word, best) for word in words]


def merge_once_a_word(words, counts):
    best = best_of(pairs_of(words, counts))
    out = []
    for word in words:
        for i in range(len(word) - 1):
            if (word[i], word[i + 1]) == best:
                word = word[:i] + ["".join(best)] + word[i + 2 :]
                break
        out.append(word)
    return best, out


def pair_alone(words, counts):
    return best_of(pairs_of(words, counts)), words


def longest(word, merges):
    vocabulary = set(word) | {a + b for a, b in merges}
    tokens = []
    while word:
        for size in range(len(word), 0, -1):
            if word[:size] in vocabulary:
                tokens.append(word[:size])
                word = word[size:]
                break
    return tokens


def leftmost(word, merges):
    tokens = list(word)
    changed = True
    while changed:
        changed = False
        for i in range(len(tokens) - 1):
            if (tokens[i], tokens[i + 1]) in merges:
                tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]
                changed = True
                break
    return tokens


def latest(word, merges):
    tokens = list(word)
    while True:
        known = [m for m in reversed(merges) if m in list(itertools.pairwise(tokens))]
        if not known:
            return tokens
        tokens = join(tokens, known[0])


def one_round(word, merges):
    tokens = list(word)
    for merge in merges:
        if merge in list(itertools.pairwise(tokens)):
            return join(tokens, merge)
    return tokens


def one_place_each(word, merges):
    tokens = list(word)
    for merge in merges:
        places = [i for i in range(len(tokens) - 1) if tuple(tokens[i : i + 2]) == merge]
        if places:
            tokens[places[0] : places[0] + 2] = ["".join(merge)]
    return tokens


def encode_as_text(word, merges):
    tokens = list(word)
    for merge in merges:
        tokens = replace_text(tokens, merge)
    return tokens


def tied_by_vocab(table, token_ids, hidden):
    return table[token_ids] * len(table) ** 0.5, hidden @ table.T


def tied(factor, logits):
    def tied_embedding(table, token_ids, hidden):
        return table[token_ids] * factor(table.shape[1]), logits(hidden, table)

    return tied_embedding


def product(hidden, table):
    return hidden @ table.T


MISTAKES = [
    (checks.one_merge, merge_overlapping, "joins overlap"),
    (checks.one_merge, merge_across_words, "across the border of two words"),
    (checks.one_merge, merge_without_counts, "the counts play no part"),
    (checks.one_merge, merge_most_common, "the first one met is taken; take the smallest"),
    (checks.one_merge, merge_chosen_by(lambda pairs, pair: (pairs[pair], pair)), "the largest is"),
    (checks.one_merge, merge_last_of_equals, "the last one met is taken; take the smallest"),
    (checks.one_merge, merge_without_overlap, "counted as one pair `a a`"),
    (checks.one_merge, merge_one_long_list, "two words, and the counts play no part"),
    (checks.one_merge, merge_as_text, "the pair is joined as text"),
    (checks.one_merge, merge_once_a_word, "only where it stands first in a word"),
    (checks.one_merge, pair_alone, "the words are as they were"),
    (checks.encode_by_rank, longest, "the longest known token is taken first"),
    (checks.encode_by_rank, leftmost, "the leftmost pair is joined first"),
    (checks.encode_by_rank, latest, "the merge learned last is applied first"),
    (checks.encode_by_rank, one_round, "only one merge is applied"),
    (checks.encode_by_rank, lambda word, merges: list(word), "these are the letters"),
    (checks.encode_by_rank, one_place_each, "each merge is applied at one place only"),
    (checks.encode_by_rank, encode_as_text, "pairs are joined as text"),
    (checks.tied_embedding, tied(lambda d: 1, product), "the factor is missing"),
    (checks.tied_embedding, tied(lambda d: d**-0.5, product), "divided by √d_model; multiply"),
    (checks.tied_embedding, tied(lambda d: d, product), "the factor is d_model; its square root"),
    (checks.tied_embedding, tied(lambda d: d**0.5, lambda h, t: h @ t), "turned the wrong way"),
    (
        checks.tied_embedding,
        tied(lambda d: d**0.5, lambda h, t: h @ t.T * t.shape[1] ** 0.5),
        "the logits are scaled as well",
    ),
    (
        checks.tied_embedding,
        tied(lambda d: d**0.5, lambda h, t: h @ t.T / t.shape[1] ** 0.5),
        "the logits are divided by √d_model",
    ),
    (
        checks.tied_embedding,
        tied(lambda d: 1, lambda h, t: h @ t.T * t.shape[1] ** 0.5),
        "the factor stands on the wrong side",
    ),
    (checks.tied_embedding, tied_by_vocab, "the square root of the number of tokens"),
    (checks.tied_embedding, tied(lambda d: 1, lambda h, t: h @ t), "two at once: the factor"),
]


@pytest.mark.parametrize(("check", "attempt", "words"), MISTAKES, ids=[m[2] for m in MISTAKES])
def test_each_mistake_is_told_in_its_own_words(check, attempt, words):
    report = check(attempt, points=4)
    assert not report and report.earned < 4
    assert words in report.mistake, str(report)
    for seed in SEEDS[:10]:
        report = judged(check, attempt, seed)
        assert not report and words in report.mistake, f"seed {seed}: {report}"


def test_every_mistake_has_an_attempt_that_makes_it():
    for check in (checks.one_merge, checks.encode_by_rank, checks.tied_embedding):
        tried = [words for other, _, words in MISTAKES if other is check]
        for mistake in check.mistakes:
            assert any(words in mistake.message for words in tried), mistake.message


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda word, merges: word, "returns a text; a list of tokens is wanted"),
        (lambda word, merges: tuple(word), "a list of tokens is wanted"),
        (lambda word, merges: [*word, "s"], "the tokens do not spell the word"),
        (lambda word, merges: [0, 1], "of another kind than is wanted"),
    ],
)
def test_what_is_no_list_of_tokens_is_told_so(attempt, words):
    assert words in str(checks.encode_by_rank(attempt))


def test_a_wrong_pair_is_shown_beside_the_right_one():
    report = str(checks.one_merge(merge_without_counts))
    found, wanted = (
        f(**checks.one_merge.calls_from(0)[1].arguments)[0]
        for f in (merge_without_counts, merge_by_text)
    )
    assert f"{wanted}, not {found}, is the one to join" in report


def test_hidden_words_are_not_shown():
    report = str(judged(checks.one_merge, merge_without_counts, 1))
    shown = [str(call.arguments["words"]) for call in checks.one_merge.calls_from(1)]
    assert "another pair is the one to join" in report
    assert not any(words in report for words in shown)


@pytest.mark.parametrize("number", range(1, 6))
def test_a_variant_is_solved_by_its_own_solution(number):
    temperature = (0.5, 1.5, 2.0, 2.5, 4.0)[number - 1]
    assert f"temperature of {temperature}" in checks.tied_embedding.variants[number - 1].sentence
    own = tied(lambda d: d**0.5, lambda h, t: h @ t.T / temperature)
    assert checks.tied_embedding(own, variant=number)
    assert "not yours" in checks.tied_embedding(tied_by_einsum, variant=number).mistake


VARIED = [case[1:] for case in MISTAKES if case[0] is checks.tied_embedding]


@pytest.mark.parametrize("number", range(1, 6))
@pytest.mark.parametrize(("attempt", "words"), VARIED, ids=[words for _, words in VARIED])
def test_a_mistake_in_a_variant_is_named_as_well(attempt, words, number):
    temperature = (0.5, 1.5, 2.0, 2.5, 4.0)[number - 1]

    def own(table, token_ids, hidden):
        return attempt(table, token_ids, hidden / temperature)

    mistake = checks.tied_embedding(own, variant=number).mistake
    assert words in mistake and not mistake.startswith("two at once: this")
    published = checks.tied_embedding(attempt, variant=number).mistake
    assert words in published and published.startswith("two at once: this follows the published")


def test_vectors_and_logits_exchanged_are_named():
    report = checks.tied_embedding(lambda **given: tied_by_einsum(**given)[::-1])
    assert "in another order" in report.mistake
    assert "the logits are not there, in the right shape" in str(report)


def test_the_reference_of_encoding_agrees_with_tokenizers():
    for call in checks.encode_by_rank.calls_from(3):
        word, merges = call.arguments["word"], call.arguments["merges"]
        tokens = dict.fromkeys(
            [*word, *(a + b for a, b in merges), *(s for m in merges for s in m)]
        )
        vocabulary = {token: place for place, token in enumerate(tokens)}
        theirs = Tokenizer(models.BPE(vocabulary, merges)).encode(word).tokens
        assert checks.encode_by_rank.reference(word, merges) == theirs


def test_the_reference_of_merging_agrees_with_counting_by_hand():
    drawn = random.Random(0)
    for _ in range(50):
        words = [[drawn.choice("abc") for _ in range(drawn.randint(2, 7))] for _ in range(5)]
        counts = [drawn.randint(1, 9) for _ in words]
        assert checks.one_merge.reference(words, counts) == merge_by_text(words, counts)
