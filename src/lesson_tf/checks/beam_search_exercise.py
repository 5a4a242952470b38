"""What the exercise on beam search in chapter 4 must satisfy."""

from collections.abc import Callable
from itertools import chain

import torch
from torch import Generator, Tensor

from lesson_tf import decoding
from lesson_tf.checks.answers import Call
from lesson_tf.checks.exercise import Exercise, Mistake, Property, Trial
from lesson_tf.checks.properties import agrees, kind_of
from lesson_tf.transformer import LanguageModel
from lesson_tf.transformer_config import TransformerConfig

BOS, EOS = 1, 2  # 0 is padding, and never read
MARGIN = 1e-3  # nats between what is kept and what is not
Text = tuple[list[int], float, int]  # ids, total, last token


class _TableModel(LanguageModel):
    """A language model that looks at the last token alone, and knows the table by heart."""

    def __init__(self, table: Tensor):
        vocab = len(table)
        super().__init__(
            TransformerConfig(vocab, vocab, d_model=8, heads=1, d_ff=1, decoder_layers=1)
        )
        self.table = table

    def forward(self, token_ids: Tensor, cache=None) -> Tensor:
        return self.table[token_ids]


def _beam_search(log_probabilities: Tensor, bos_id: int, eos_id: int, width: int, steps: int):
    model = _TableModel(log_probabilities)
    settings = {"width": width, "max_new_tokens": steps, "eos_id": eos_id, "use_cache": False}
    [found] = decoding.beam_search(model, [[bos_id]], **settings)
    return found[0].token_ids


# --- Calls ------------------------------------------------------------------------------------------


def _rows(generator: Generator, vocab: int, likely: dict[int, dict[int, float]]) -> Tensor:
    """Return a table in which the named continuations have these probabilities, and others share the rest."""
    noise = 1 + 0.1 * torch.rand(vocab, vocab, generator=generator)
    for row, named in likely.items():
        rest = [token for token in range(vocab) if token not in named]
        noise[row, rest] *= (1 - sum(named.values())) / noise[row, rest].sum()
        for token, probability in named.items():
            noise[row, token] = probability
    return (noise / noise.sum(-1, keepdim=True)).log()


def _calls(generator: Generator) -> list[Call]:
    a, b, c, d = (torch.randperm(4, generator=generator) + 3).tolist()
    # Greedy takes a, which leads nowhere; b leads to a sure end.
    trap = {BOS: {a: 0.5, b: 0.4}, b: {c: 0.95}, c: {EOS: 0.95}}
    # To end at once is the likeliest text; a long one is the likelier for each token.
    short = {BOS: {EOS: 0.35, a: 0.6}, a: {b: 0.7}, b: {c: 0.7}, c: {EOS: 0.7, a: 0.2}}
    # The best text does not end within three steps.
    cut = {BOS: {a: 0.6, b: 0.35}, a: {c: 0.9}, c: {d: 0.9}, b: {EOS: 0.7}}
    # The short text wins if the end counts as a token, and loses if it does not.
    ending = {BOS: {a: 0.6, b: 0.38}, a: {EOS: 0.7}, b: {c: 0.71}, c: {d: 0.71}, d: {EOS: 0.71}}
    # The long text wins, and would lose if the beginning counted as a token.
    begun = {BOS: {a: 0.6, b: 0.38}, a: {EOS: 0.65}, b: {c: 0.784}, c: {d: 0.784}, d: {EOS: 0.784}}
    # b and c make the better mean; but whoever writes on after the end finds a very sure way behind a.
    beyond = {BOS: {a: 0.6, b: 0.39}, a: {EOS: 0.7}, b: {c: 0.97}, c: {EOS: 0.97}, EOS: {0: 0.98}}
    beyond[0] = {0: 0.98}
    # One text ends at once; both places are needed afterwards, since c is only the second best.
    places = {BOS: {EOS: 0.33, a: 0.6}, a: {b: 0.5, c: 0.4}, c: {EOS: 0.97}}
    # Two texts end early, and a better one goes on.
    late = {BOS: {EOS: 0.45, a: 0.5}, a: {b: 0.68, EOS: 0.3}, b: {c: 0.97}, c: {EOS: 0.97}}
    # After a, two continuations are better than the one after b; without b's the best mean is lost.
    shared = {BOS: {a: 0.4, b: 0.35}, a: {c: 0.5, d: 0.45}, b: {EOS: 0.45}, c: {EOS: 0.2}}
    tables = [("trap", trap, 2, 5), ("short", short, 2, 5), ("short", cut, 2, 3)]
    tables += [("short", ending, 2, 5), ("short", begun, 2, 5), ("beyond", beyond, 2, 5)]
    tables += [("beyond", places, 2, 5), ("beyond", late, 2, 5), ("", shared, 2, 3)]
    calls = [_call(_rows(generator, 7, likely), w, s, label) for label, likely, w, s in tables]
    return [*calls, *(_call(_decisive(generator, w, s), w, s) for w, s in ((1, 4), (3, 5)))]


def _call(table: Tensor, width: int, steps: int, label: str = "") -> Call:
    return Call(
        {"log_probabilities": table, "bos_id": BOS, "eos_id": EOS, "width": width, "steps": steps},
        label,
    )


def _decisive(generator: Generator, width: int, steps: int) -> Tensor:
    """Draw a table in which no two texts tie: the same pairs in another order have the same total."""
    while True:
        table = (1.5 * torch.randn(6, 6, generator=generator)).log_softmax(-1)
        gaps: list[float] = []
        texts = _all(*_searched(table, BOS, EOS, width, steps, gaps=gaps))
        means = sorted((total / len(ids) for ids, total, _ in texts), reverse=True)
        if min([*gaps, *(means[0] - mean for mean in means[1:2])]) > MARGIN:
            return table


# --- What people get wrong --------------------------------------------------------------------------


def _searched(
    table, bos_id, eos_id, width, steps, *, ends=True, places="kept", stops_at=None, gaps=None
):
    """Search, with what people get wrong as options; return the finished texts and the others.

    `places`: all places are there at each step ("kept"), or what is finished takes one for good ("fewer"),
    or as long as its total is high enough ("held"), or each text has as many as all should ("each").
    `gaps` collects by how much the last continuation that is kept is better than the next one.
    """
    alive: list[Text] = [([], 0.0, bos_id)]
    finished: list[Text] = []
    for _ in range(steps):
        groups = [_continued(table, text) for text in alive]
        if places != "each":
            held = finished if places == "held" else []
            groups = [_sorted([*held, *chain.from_iterable(groups)])]
        finished = [] if places == "held" else finished
        room = width - len(finished) if places == "fewer" else width
        best = [text for group in groups for text in group[: max(room, 0)]]
        if gaps is not None and len(groups[0]) > room:
            gaps.append(groups[0][room - 1][1] - groups[0][room][1])
        finished = finished + [text for text in best if ends and text[2] == eos_id]
        alive = [text for text in best if not (ends and text[2] == eos_id)]
        if stops_at and len(finished) >= stops_at(width):
            break
    return finished, alive


def _continued(table: Tensor, text: Text) -> list[Text]:
    ids, total, last = text
    values = enumerate(table[last].tolist())
    return _sorted([([*ids, token], total + value, token) for token, value in values])


def _sorted(texts: list[Text]) -> list[Text]:
    return sorted(texts, key=lambda text: -text[1])


def _all(finished: list[Text], alive: list[Text]) -> list[Text]:
    return finished + alive


def _finished_first(finished: list[Text], alive: list[Text]) -> list[Text]:
    return finished or alive


def _without_end(ids: list[int]) -> int:
    return max(1, len(ids) - (ids[-1] == EOS))


def _wrong(
    compared: Callable = _all,
    length: Callable = len,
    cut=True,
    begins=False,
    always=None,
    **options,
):
    """Return a search that compares other texts, by another length, or returns more than the text."""

    def beam_search(log_probabilities, bos_id, eos_id, width, steps):
        found = _searched(log_probabilities, bos_id, eos_id, always or width, steps, **options)
        texts = compared(*found)
        ids = max(texts, key=lambda text: text[1] / length(text[0]))[0] if texts else []
        ids = ids[: ids.index(eos_id)] if cut and eos_id in ids else ids
        return [bos_id, *ids] if begins else ids

    return beam_search


def _writes_ids(trials: list[Trial]) -> str | None:
    """Complain unless the result is a list of whole numbers without the tokens of begin and end."""
    for trial in trials:
        given, vocab = trial.call.arguments, len(trial.call.arguments["log_probabilities"])
        ids, with_what = trial.value, f"With {trial.call.words()}"
        if not isinstance(ids, list):
            return f"{with_what} it returns {kind_of(ids)}; a list of ids is wanted."
        if not all(type(i) is int and 0 <= i < vocab for i in ids):
            return f"{with_what} the list holds something else than ids, which are whole numbers."
        if given["eos_id"] in ids or len(ids) > given["steps"]:
            return f"{with_what} it holds the token of the end, or is too long."
        if ids[:1] == [given["bos_id"]] != trial.expected[:1]:
            return f"{with_what} it holds the token of the beginning."
        if not ids and trial.expected:
            return f"{with_what} the text is empty."
    return None


def _bare(ids: list[int]) -> list[int]:
    """Leave out a begin token in front and an end token behind: whether they stay is judged once."""
    ids = ids[1:] if ids[:1] == [BOS] else ids
    return ids[:-1] if ids[-1:] == [EOS] else ids


_PLACES = (
    "finished texts go on taking up places: put them aside, and keep `width` continuations again at "
    "the next step."
)
_TOO_EARLY = (
    "the search stops as soon as {} finished, though a better one may still be on its way: go on while "
    "a text is unfinished and steps are left."
)
_FIRST, _ENOUGH = _TOO_EARLY.format("one text is"), _TOO_EARLY.format("`width` texts are")

beam_search = Exercise(
    name="Beam search",
    attempt="beam_search",
    reference=_beam_search,
    calls=_calls,
    properties=(
        Property("It returns a list of ids, without begin and end.", _writes_ids),
        agrees("A wider beam avoids the greedy trap.", on=("trap",), pick=_bare, weight=1),
        agrees("Texts are compared by their mean, finished or not.", on=("short",), pick=_bare),
        agrees("A finished text is put aside, and the search goes on.", on=("beyond",), pick=_bare),
        agrees("All texts share the places, in drawn tables, too.", on=("",), pick=_bare, weight=1),
    ),
    mistakes=(
        Mistake(
            "a finished text is written on: after the end token it must be put aside.",
            _wrong(ends=False),
        ),
        Mistake(
            "a finished text is written on, and the end token stays in it: put a text aside when it ends.",
            _wrong(ends=False, cut=False),
        ),
        Mistake(
            "length is not normalised: every further token lowers a sum, so sums favour short texts. Compare "
            "the means.",
            _wrong(length=lambda ids: 1),
        ),
        Mistake(
            "the end token is not counted in the length: its log probability is part of the total, so divide "
            "by a number that counts it.",
            _wrong(length=_without_end),
        ),
        Mistake(
            "the length counts the beginning, which nobody has chosen: divide by the number of chosen tokens.",
            _wrong(length=lambda ids: len(ids) + 1),
        ),
        Mistake(
            "this is greedy search: at each step keep the best `width` beginnings of all.",
            _wrong(always=1),
        ),
        Mistake(
            "each text keeps its own best continuations: the `width` places are shared by all texts.",
            _wrong(places="each"),
        ),
        Mistake(_PLACES, _wrong(places="fewer")),
        Mistake(_PLACES, _wrong(places="held")),
        Mistake(_FIRST, _wrong(stops_at=lambda width: 1)),
        Mistake(_FIRST, _wrong(stops_at=lambda width: 1, compared=_finished_first)),
        Mistake(_ENOUGH, _wrong(stops_at=lambda width: width)),
        Mistake(_ENOUGH, _wrong(stops_at=lambda width: width, compared=_finished_first)),
        Mistake(
            "finished texts are forgotten: in the end they are compared with those that go on.",
            _wrong(compared=lambda finished, alive: alive),
        ),
        Mistake(
            "only finished texts are compared: those that the last step cut off count as well.",
            _wrong(compared=_finished_first),
        ),
        Mistake(
            "the end token stays in the text that is returned: leave it out.", _wrong(cut=False)
        ),
        Mistake(
            "the beginning token stays in the text that is returned: leave it out.",
            _wrong(begins=True),
        ),
    ),
)
