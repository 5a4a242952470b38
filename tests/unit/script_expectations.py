"""What Python says, for the tests of the page's scripts to compare with: one function for each script."""

import json
import math
import random
import unicodedata
from collections.abc import Callable
from functools import cache
from itertools import groupby
from pathlib import Path

import regex
import torch
from explorer_expectations import drawings, translate, unpack
from flow_expectations import flow
from language_model_expectations import merges, next_token

from lesson_tf import dates, language_model, translator
from lesson_tf.byte_pair_encoding import _WORD
from lesson_tf.decoding import beam_search, greedy
from lesson_tf.export import language_model_data, translator_data
from lesson_tf.transformer import LanguageModel, TransformerConfig

HALF = range(0xD800, 0xE000)  # surrogates are no characters
CONTEXTS = ("a{}b", "{}5", "5{}")
LONG = 10_000


def characters() -> dict:
    """What normalization makes of every character, and what the translator reads or says."""
    reader = translator.load()
    points = [chr(point) for point in range(0x110000) if point not in HALF]
    changed = {}
    for context in CONTEXTS:
        for character in points:
            text = context.format(character)
            normal = dates.normalize(text)
            if normal != text:
                changed[text] = normal
    return {
        "data": translator_data(reader),
        "contexts": CONTEXTS,
        "changed": changed,
        "unassigned": ranges(map(ord, (c for c in points if unicodedata.category(c) == "Cn"))),
        "reads": [[text, *reading(reader, text)] for text in dates_and_others()],
    }


def reading(reader: translator.Translator, text: str) -> tuple[list[int], str | None]:
    """Give the ids of a text, or the sentence that says why there are none."""
    try:
        return reader.read(text), None
    except ValueError as problem:
        return [], str(problem)


def dates_and_others() -> list[str]:
    examples = [example.text for example in translator.held_out_examples(20)]
    made = [*texts(600, seed=1), *texts(200, seed=2, longest=64)]
    quoted = [f"«{text}» \u200b\n" for text in examples[::7]]
    return [*examples, *quoted, *made, "", " \t\u3000", "''", "5" * 64, "5" * 65, "5" * LONG]


def byte_pairs() -> dict:
    """What the tokenizer of the language model makes of texts, with all merges and with some."""
    writer = language_model.load()
    tokenizer = writer.tokenizer
    many = [*texts(3000, seed=3), *long_texts()]
    rng = random.Random(4)
    counts = sorted({0, 1, 2, 766, 767, *rng.sample(range(767), 45)})
    some = [
        [text, count, fewer.encode(text)]
        for count in counts
        for fewer in [tokenizer.after_merges(count)]
        for text in [*texts(20, seed=count), long_texts()[0][:500]]
    ]
    id_lists = [[rng.randrange(1024) for _ in range(rng.randrange(9))] for _ in range(3000)]
    id_lists += [tokenizer.encode(text) for text in ["\ufeff", "\ufeffa\ufeff", "令\x00和"]]
    apart = "it's I'll we've you're I'm he'd don't 'S 'LL  'tis\t\n 5th x̂2 ½ 　a\x1c\x85 '' 'ſ"
    return {
        "data": language_model_data(writer),
        "texts": [[text, tokenizer.encode(text)] for text in many],
        "some": some,
        "decoded": [[ids, tokenizer.decode(ids)] for ids in id_lists],
        "names": [writer.name(token_id) for token_id in range(1024)],
        "words": [[text, _WORD.findall(text)] for text in [apart, *many[:300]]],
        "cuts": cuts(),
        "unassigned": ranges(
            point
            for point in range(0x110000)
            if point not in HALF and regex.match(r"\p{Cn}", chr(point))
        ),
    }


def cuts() -> dict[str, list]:
    """Group all characters by how a text with them is cut: "2,2,1" are the lengths of the words."""
    found: dict[str, list[int]] = {}
    for point in range(0x110000):
        if point not in HALF:
            words = _WORD.findall(f"a{chr(point)} {chr(point)}1")
            found.setdefault(",".join(str(len(word)) for word in words), []).append(point)
    return {lengths: ranges(points) for lengths, points in found.items()}


def decoding() -> dict:
    """What beam search and greedy decoding write with scores from a table, in many settings."""
    rng = random.Random(5)
    cases = []
    for case in range(300):
        vocab, most = rng.randint(2, 6), rng.randint(1, 6)
        model = Table(vocab, most, case)
        settings = {
            "most": most,
            "width": rng.randint(1, 7),
            "penalty": rng.choice([0.0, 1.0, 1.0, 2.0]),
            "prompt": [rng.randrange(vocab)],
            "eosId": rng.choice([0, 1, None]),
        }
        cases.append({**settings, "table": model.log_probabilities(), **answers(model, settings)})
    numbers = [rng.uniform(-9, 0) * 10.0 ** rng.randint(-12, 6) for _ in range(30)]
    numbers += [math.log(1 / count) for count in range(1, 10)]
    sums = [[rng.choice(numbers) for _ in range(rng.randrange(13))] for _ in range(3000)]
    return {"cases": cases, "sums": [[terms, math.fsum(terms)] for terms in sums]}


def answers(model: "Table", settings: dict) -> dict:
    prompt, bounds = (
        [settings["prompt"]],
        {"max_new_tokens": settings["most"], "eos_id": settings["eosId"], "use_cache": False},
    )
    beams = beam_search(
        model,
        prompt,
        width=settings["width"],
        length_penalty=settings["penalty"],
        **bounds,
    )
    steps = model.calls
    [best] = greedy(model, prompt, **bounds)
    return {
        "beams": [written(text, settings["penalty"]) for text in beams[0]],
        "steps": steps,
        "greedy": written(best, settings["penalty"]),
    }


def written(text, penalty: float) -> dict:
    return {"tokenIds": text.token_ids, "ended": text.ended, "score": text.score(penalty)}


class Table(LanguageModel):
    """Scores by the step and the last two tokens; many of them tie, and some rule a token out."""

    def __init__(self, vocab: int, most: int, seed: int):
        super().__init__(TransformerConfig(vocab, vocab, d_model=8, pad_id=None))
        generator = torch.Generator().manual_seed(seed)
        shape = (most + 1, vocab, vocab, vocab)
        self.table = torch.randint(0, 4, shape, generator=generator).float()
        never = torch.rand(shape, generator=generator) < 0.15
        never[..., 0] = False
        self.table[never] = -torch.inf
        self.calls = 0

    def forward(self, token_ids, cache=None):
        """Look the scores up."""
        self.calls += 1
        before = torch.cat((token_ids[:, :1], token_ids[:, :-1]), dim=1)
        steps = torch.arange(token_ids.shape[1]).expand_as(token_ids)
        return self.table[steps, before, token_ids]

    def log_probabilities(self) -> list:
        """Give the table as beam search sees it, without what JSON cannot say."""
        values = self.table.double().log_softmax(-1).tolist()
        return json.loads(json.dumps(values).replace("-Infinity", "null"))


def texts(count: int, seed: int, longest: int = 80) -> list[str]:
    """Draw texts of every kind: prose, code, Japanese, emoji, white space, and any characters at all."""
    rng = random.Random(seed)
    return [
        "".join(rng.choice(kinds)(rng) for _ in range(rng.randint(1, longest // 4)))[:longest]
        for _ in range(count)
        for kinds in [rng.sample(KINDS, rng.randint(1, 3))]
    ]


def long_texts() -> list[str]:
    """Make texts of 10,000 characters, also such as are one single word."""
    rng = random.Random(6)
    prose = " ".join(rng.choice(_words()) for _ in range(LONG))
    hiragana = "".join(chr(rng.randrange(0x3041, 0x3097)) for _ in range(LONG))
    letters = "".join(rng.choice("etaoinshrdlu") for _ in range(LONG))
    kinds = ["".join(kind(rng) for _ in range(LONG)) for kind in KINDS]
    return [text[:LONG] for text in (prose, hiragana, letters, "a" * LONG, " " * LONG, *kinds)]


@cache
def _words() -> list[str]:
    return Path(translator.__file__).read_text(encoding="utf-8").split()


def _between(*bounds: tuple[int, int]) -> Callable[[random.Random], str]:
    return lambda rng: chr(rng.randrange(*rng.choice(bounds)))


KINDS = [
    lambda rng: f" {rng.choice(_words())}",
    lambda rng: rng.choice(_words()),
    lambda rng: rng.choice(
        [" it's", "'ll", "'S", " we've", "don't ", "0.5", "{x}", "self.", "\n    "]
    ),
    _between((0x3041, 0x3097), (0x30A1, 0x30FB), (0x4E00, 0x9FA6)),
    lambda rng: rng.choice(["令和", "年", "月", "日", "１２", "㋿", "（火）", "、", "。", "　"]),
    _between((0x1F300, 0x1F650), (0x200D, 0x200E), (0xFE0F, 0xFE10), (0x1F1E6, 0x1F200)),
    lambda rng: rng.choice(
        [" ", "  ", "\t", "\n", "\r\n", "\xa0", "\u2003", "\x85", "\ufeff", "\x1f"]
    ),
    _between((0, 0x20), (0x7F, 0xA1), (0x200B, 0x2010), (0x202A, 0x202F)),
    _between((0x20, 0x7F)),
    _between((0, 0xD800), (0xE000, 0x110000)),
]


def ranges(points) -> list[list[int]]:
    """Write sorted numbers as [first, last] of each run."""
    runs = groupby(enumerate(points), lambda pair: pair[1] - pair[0])
    return [[run[0][1], run[-1][1]] for run in (list(run) for _, run in runs)]


EXPECTATIONS = {
    "flow": flow,
    "characters": characters,
    "byte_pairs": byte_pairs,
    "decoding": decoding,
    "unpack": unpack,
    "drawings": drawings,
    "translate": translate,
    "merges": merges,
    "next_token": next_token,
}
