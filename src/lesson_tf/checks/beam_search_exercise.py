"""What the exercise on beam search in chapter 4 must satisfy."""

import torch
from torch import Generator, Tensor

from lesson_tf import decoding
from lesson_tf.checks.answers import Call
from lesson_tf.checks.exercise import Exercise, Mistake, Property, Trial
from lesson_tf.checks.properties import agrees
from lesson_tf.transformer import LanguageModel
from lesson_tf.transformer_config import TransformerConfig

BOS, EOS = 1, 2  # 0 is padding, and never read


class _TableModel(LanguageModel):
    """A language model that looks at the last token alone, and knows the table by heart."""

    def __init__(self, table: Tensor):
        vocab = len(table)
        super().__init__(TransformerConfig(source_vocab=vocab, target_vocab=vocab, d_model=8))
        self.table = table

    def forward(self, token_ids: Tensor, cache=None) -> Tensor:
        return self.table[token_ids]


def _beam_search(log_probabilities: Tensor, bos_id: int, eos_id: int, width: int, steps: int):
    model = _TableModel(log_probabilities)
    settings = {"width": width, "max_new_tokens": steps, "eos_id": eos_id, "use_cache": False}
    [found] = decoding.beam_search(model, [[bos_id]], **settings)
    return found[0].token_ids


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
    a, b, c = (torch.randperm(4, generator=generator)[:3] + 3).tolist()
    # Greedy takes a, which leads nowhere; b leads to a sure end.
    trap = {BOS: {a: 0.5, b: 0.4}, b: {c: 0.95}, c: {EOS: 0.95}}
    # To end at once is the likeliest text; a long one is the likelier for each token.
    short = {BOS: {EOS: 0.35, a: 0.6}, a: {b: 0.7}, b: {c: 0.7}, c: {EOS: 0.7, a: 0.2}}
    # b and c make the better mean; but whoever writes on after the end finds a very sure way behind a.
    beyond = {BOS: {a: 0.6, b: 0.39}, a: {EOS: 0.7}, b: {c: 0.97}, c: {EOS: 0.97}, EOS: {0: 0.98}}
    beyond[0] = {0: 0.98}
    tables = [("trap", trap, 2, 6), ("short", short, 3, 6), ("beyond", beyond, 2, 7)]
    calls = [_call(_rows(generator, 7, likely), w, s, label) for label, likely, w, s in tables]
    for width, steps in ((1, 4), (3, 5)):
        drawn = (1.5 * torch.randn(6, 6, generator=generator)).log_softmax(-1)
        calls.append(_call(drawn, width, steps))
    return calls


def _call(table: Tensor, width: int, steps: int, label: str = "") -> Call:
    return Call(
        {"log_probabilities": table, "bos_id": BOS, "eos_id": EOS, "width": width, "steps": steps},
        label,
    )


def _searched(table, bos_id, eos_id, width, steps, *, ends=True, power=1.0, keeps_finished=True):
    """Search, with what people get wrong as options; return texts with the scores, best first."""
    alive, finished = [([], 0.0, bos_id)], []
    for _ in range(steps):
        candidates = [
            ([*text, token], total + table[last, token].item(), token)
            for text, total, last in alive
            for token in range(len(table))
        ]
        candidates.sort(key=lambda candidate: -candidate[1])
        best = candidates[:width]
        alive = [candidate for candidate in best if not (ends and candidate[2] == eos_id)]
        finished += [candidate for candidate in best if ends and candidate[2] == eos_id]
    texts = (finished if keeps_finished else []) + alive
    return sorted(texts, key=lambda text: -text[1] / len(text[0]) ** power)


def _wrong(**options):
    width_of = options.pop("width", lambda width: width)
    cut = options.pop("cut", True)

    def beam_search(log_probabilities, bos_id, eos_id, width, steps):
        found = _searched(log_probabilities, bos_id, eos_id, width_of(width), steps, **options)
        text = found[0][0] if found else []
        return text[: text.index(eos_id)] if cut and eos_id in text else text

    return beam_search


def _writes_ids(trials: list[Trial]) -> str | None:
    """Complain unless the result is a list of whole numbers without the tokens of begin and end."""
    for trial in trials:
        given, vocab = trial.call.arguments, len(trial.call.arguments["log_probabilities"])
        ids = trial.value
        if not isinstance(ids, list) or not all(type(i) is int and 0 <= i < vocab for i in ids):
            return f"With {trial.call.words()} the result is no list of ids."
        if given["eos_id"] in ids or len(ids) > given["steps"]:
            return f"With {trial.call.words()} it holds the token of the end, or is too long."
        if not ids and trial.expected:
            return f"With {trial.call.words()} the text is empty."
    return None


beam_search = Exercise(
    name="Beam search",
    attempt="beam_search",
    reference=_beam_search,
    calls=_calls,
    properties=(
        Property("It returns a list of ids, without begin and end.", _writes_ids),
        agrees("A wider beam avoids the greedy trap.", on=("trap",), weight=1),
        agrees("Texts are compared by their mean, finished or not.", on=("short",)),
        agrees("A finished text is not written on.", on=("beyond",)),
        agrees("Drawn tables are searched as they should be.", on=("",), weight=1),
    ),
    mistakes=(
        Mistake(
            "a finished text is written on: after the end token it leaves its place and waits for the others.",
            _wrong(ends=False),
        ),
        Mistake(
            "a finished text is written on, and the end token stays in it: it leaves its place when it ends.",
            _wrong(ends=False, cut=False),
        ),
        Mistake(
            "length is not normalised: every further token lowers a sum, so sums favour short texts. Compare "
            "the means.",
            _wrong(power=0.0),
        ),
        Mistake(
            "this is greedy search: at each step keep the best `width` beginnings of all.",
            _wrong(width=lambda width: 1),
        ),
        Mistake(
            "finished texts are forgotten: in the end they are compared with those that go on.",
            _wrong(keeps_finished=False),
        ),
        Mistake("the end token stays in the text that is returned.", _wrong(cut=False)),
    ),
)
