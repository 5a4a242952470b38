"""The check of beam search in chapter 4, tried with attempts as learners write them."""

import itertools

import pytest
import torch

from lesson_tf import checks
from lesson_tf.checks.answers import answer_all

# --- Right, in another way ----------------------------------------------------------------------------


def search_with_heap(log_probabilities, bos_id, eos_id, width, steps):
    alive, done = [(0.0, (bos_id,))], []
    for _ in range(steps):
        grown = [
            (total + float(value), (*ids, token))
            for total, ids in alive
            for token, value in enumerate(log_probabilities[ids[-1]])
        ]
        kept = sorted(grown, reverse=True)[:width]
        done += [text for text in kept if text[1][-1] == eos_id]
        alive = [text for text in kept if text[1][-1] != eos_id]
        if not alive:
            break
    _, best = max((total / (len(ids) - 1), ids) for total, ids in done + alive)
    return [token for token in best[1:] if token != eos_id]


def test_another_right_way_passes():
    assert checks.beam_search(search_with_heap), str(checks.beam_search(search_with_heap))


# --- Wrong ------------------------------------------------------------------------------------------


def searching(grow, stop=lambda done, width: False):
    """Return a search by `grow`, (alive, finished, width, table) -> the texts of the next step."""

    def search(table, bos, eos, width, steps):
        alive, done = [((bos,), 0.0)], []
        for _ in range(steps):
            alive, done = grow(alive, done, width, table, eos)
            if not alive or stop(done, width):
                break
        return done, alive

    return search


def continued(texts, table):
    return [
        ((*ids, token), total + value.item())
        for ids, total in texts
        for token, value in enumerate(table[ids[-1]])
    ]


def cut_to(texts, width):
    return sorted(texts, key=lambda text: text[1], reverse=True)[: max(width, 0)]


def parted(texts, eos):
    return [t for t in texts if t[0][-1] != eos], [t for t in texts if t[0][-1] == eos]


def properly(alive, done, width, table, eos):
    alive, new = parted(cut_to(continued(alive, table), width), eos)
    return alive, done + new


def greedily(alive, done, width, table, eos):
    return properly(alive, done, 1, table, eos)


def never_ending(alive, done, width, table, eos):
    return cut_to(continued(alive, table), width), done


def shrinking(alive, done, width, table, eos):
    return properly(alive, done, width - len(done), table, eos)


def holding(alive, done, width, table, eos):
    return parted(cut_to(continued(alive, table) + done, width), eos)


def unshared(alive, done, width, table, eos):
    for text in list(alive):
        alive = [other for other in alive if other is not text]
        alive += cut_to(continued([text], table), width)
    alive, new = parted(alive, eos)
    return alive, done + new


def first_ends(done, width):
    return bool(done)


def enough_end(done, width):
    return len(done) >= width


def search(grow=properly, stop=lambda done, width: False, **options):
    length = options.get("length", lambda ids, ended: len(ids) - 1)
    pool = options.get("pool", lambda done, alive: done + alive)
    read = options.get(
        "read", lambda ids, eos: list(itertools.takewhile(lambda i: i != eos, ids[1:]))
    )

    def beam_search(log_probabilities, bos_id, eos_id, width, steps):
        found = searching(grow, stop)(log_probabilities, bos_id, eos_id, width, steps)
        texts = pool(*found)
        if not texts:
            return []
        ids, _ = max(texts, key=lambda t: t[1] / length(t[0], t[0][-1] == eos_id))
        return read(ids, eos_id)

    return beam_search


def ended_first(done, alive):
    return done or alive


ON_THEIR_WAY = "though a better one may still be on its way"
MISTAKES = [
    (search(never_ending), "a finished text is written on: after"),
    (search(never_ending, read=lambda ids, eos: list(ids[1:])), "and the end"),
    (search(length=lambda ids, ended: 1), "length is not normalised"),
    (search(length=lambda ids, ended: len(ids)), "the length counts the begin"),
    (
        search(length=lambda ids, ended: max(len(ids) - 1 - ended, 1)),
        "the end token is not counted in the length",
    ),
    (search(greedily), "this is greedy search"),
    (search(unshared), "each text keeps its own best continuations"),
    (search(shrinking), "finished texts go on taking up places"),
    (search(holding), "and keep `width` continuations again"),
    (search(stop=first_ends), f"one text is finished, {ON_THEIR_WAY}"),
    (search(stop=enough_end), f"`width` texts are finished, {ON_THEIR_WAY}"),
    (
        search(stop=first_ends, pool=ended_first),
        "as soon as one text is finished",
    ),
    (
        search(stop=enough_end, pool=ended_first),
        "as soon as `width` texts are finished",
    ),
    (search(pool=lambda done, alive: alive), "finished texts are forgotten"),
    (search(pool=ended_first), "only finished texts are compared"),
    (
        search(read=lambda ids, eos: list(ids[1:])),
        "the end token stays in the text that is returned",
    ),
    (
        search(read=lambda ids, eos: [i for i in ids if i != eos]),
        "the beginning token stays in the text",
    ),
    (
        search(read=lambda ids, eos: tuple(i for i in ids[1:] if i != eos)),
        "a list of ids is wanted",
    ),
    (
        search(read=lambda ids, eos: [torch.tensor(i) for i in ids[1:] if i != eos]),
        "something else than ids",
    ),
]


@pytest.mark.parametrize(("attempt", "words"), MISTAKES, ids=[m[1] for m in MISTAKES])
def test_each_mistake_is_told_in_its_own_words(attempt, words):
    report = checks.beam_search(attempt, points=6)
    assert not report and report.earned < 6
    assert words in str(report), str(report)


def test_no_known_mistake_is_left_untried():
    for mistake in checks.beam_search.mistakes:
        assert any(words in mistake.message for _, words in MISTAKES), mistake.message


KNOWN = [
    case
    for case in MISTAKES
    if any(case[1] in mistake.message for mistake in checks.beam_search.mistakes)
]


@pytest.mark.parametrize(("attempt", "words"), KNOWN, ids=[m[1] for m in KNOWN])
def test_a_mistake_is_named_with_hidden_inputs_too(attempt, words):
    for seed in (7, 101):
        calls = checks.beam_search.calls_from(seed, private=True)
        report = checks.beam_search.judge(calls, answer_all(attempt, calls))
        assert words in report.mistake, f"seed {seed}: {report}"


def test_a_constant_text_earns_little():
    def constant(log_probabilities, bos_id, eos_id, width, steps):
        return [3]

    assert checks.beam_search(constant).score <= 0.25


# --- The reference ------------------------------------------------------------------------------------


def test_the_reference_of_beam_search_finds_the_best_text_when_the_beam_is_wide():
    torch.manual_seed(5)
    for _ in range(20):
        table = torch.randn(4, 4).log_softmax(-1)
        texts = {}
        for size in range(1, 4):
            for ids in itertools.product(range(4), repeat=size):
                if 2 not in ids[:-1] and (ids[-1] == 2 or size == 3):
                    steps = zip((1, *ids), ids, strict=False)
                    texts[ids] = sum(table[a, b].item() for a, b in steps) / size
        best = max(texts, key=texts.__getitem__)
        found = checks.beam_search.reference(table, 1, 2, 64, 3)
        assert found == [token for token in best if token != 2]


@pytest.mark.parametrize("sign", [1, -1])
def test_no_drawn_table_holds_a_tie_that_decides(sign):
    """Texts of the same pairs in another order have equal totals: either order must be as good."""

    def search_in_order(log_probabilities, bos_id, eos_id, width, steps):
        alive, done = [((), 0.0, bos_id)], []
        for _ in range(steps):
            rows = [(ids, total, log_probabilities[last].tolist()) for ids, total, last in alive]
            grown = [
                ((*ids, token), total + value, token)
                for ids, total, row in rows
                for token, value in enumerate(row)
            ]
            grown.sort(key=lambda t: (-round(t[1], 4), [sign * i for i in t[0]]))
            done += [t for t in grown[:width] if t[2] == eos_id]
            alive = [t for t in grown[:width] if t[2] != eos_id]
        key = [(-round(t[1] / len(t[0]), 4), [sign * i for i in t[0]], t) for t in done + alive]
        return [i for i in min(key)[2][0] if i != eos_id]

    for seed in [*range(20), 93, 270, 741, 914, 1369, 1537, 1862, 2033]:
        for call in checks.beam_search.calls_from(seed):
            expected = checks.beam_search.reference(**call.arguments)
            assert search_in_order(**call.arguments) == expected, f"seed {seed}"
