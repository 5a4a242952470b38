"""The translator that ships with the course: a date as people write it becomes ISO 8601.

Trained by the book's own code (`make models`) on English and Japanese dates, character by character. What it
reads, where it looked, and how sure it was at each step come back together.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lesson_tf.attention import _check_size, _describe
from lesson_tf.date_styles import STYLES, find_style, write
from lesson_tf.dates import normalize, source_tokenizer, split, target_tokenizer
from lesson_tf.decoding import Hypothesis, decode_one, greedy
from lesson_tf.model_files import DATA, load_model
from lesson_tf.tokenization import CharTokenizer
from lesson_tf.transformer import Transformer, TransformerConfig, in_mode
from lesson_tf.vocabulary import check_seed, listed_texts

LONGEST_SOURCE = 64  # characters after normalization; the longest form of the task has about 50
LONGEST_TARGET = 12  # an ISO date has 10 characters; the end is one more
# What is said of a text that the model cannot read; a page that runs the model says the same.
NOTHING_TO_READ = "there is nothing to read; type a date, such as 5 March 2024 or 令和6年3月5日"
TOO_LONG = (
    "the text has {count} characters, and the model reads {most} at most; "
    "type one date alone, such as 5 March 2024"
)
UNKNOWN_CHARACTERS = (
    "the model has never seen {characters}; it reads dates in English and Japanese, "
    "such as 5 March 2024 or 令和6年3月5日"
)


@dataclass(frozen=True)
class Translation:
    """What the model wrote, and all that can be seen of how.

    S source tokens were read and T target tokens written, the end `<eos>` among them. Row t of
    `decoder_attention`, `cross_attention` and `probabilities` belongs to the step that wrote
    `target_tokens[t]`. A probability says how sure the model is, not whether it is right.
    """

    text: str
    source_tokens: list[str]
    target_tokens: list[str]
    token_probabilities: list[float]
    encoder_attention: Float[Tensor, "layers heads source source"]
    decoder_attention: Float[Tensor, "layers heads target target"]
    cross_attention: Float[Tensor, "layers heads target source"]
    probabilities: Float[Tensor, "target vocab"]
    vocabulary: list[str]

    @property
    def probability(self) -> float:
        """The probability of the whole text: the product over its tokens."""
        return float(torch.tensor(self.token_probabilities, dtype=torch.float64).prod())

    def candidates(self, step: int, most: int = 5) -> dict[str, float]:
        """Name the most probable tokens of a step, with their probabilities, most probable first.

        Raises ValueError where there is no such step, or `most` is below 1.
        """
        whole = isinstance(step, Integral) and not isinstance(step, bool)
        if not whole or not 0 <= step < len(self.target_tokens):
            raise ValueError(
                f"step={_describe(step)} was not taken; use 0 to {len(self.target_tokens) - 1}, "
                f"one for each of {' '.join(self.target_tokens)}"
            )
        _check_size("most", most)
        values, ids = self.probabilities[step].topk(min(most, len(self.vocabulary)))
        return {
            self.vocabulary[i]: value
            for i, value in zip(ids.tolist(), values.tolist(), strict=True)
        }


class Translator:
    """A Transformer with the tokenizers of the date task.

    Raises ValueError for another model, and for one whose vocabularies are not those of the tokenizers.

    >>> translator = load()
    >>> translator.translate("令和6年3月5日").text
    '2024-03-05'
    """

    def __init__(
        self,
        model: Transformer,
        source: CharTokenizer | None = None,
        target: CharTokenizer | None = None,
    ):
        self.source_tokenizer = source_tokenizer() if source is None else source
        self.target_tokenizer = target_tokenizer() if target is None else target
        _check_translates(model, self.source_tokenizer, self.target_tokenizer)
        self.model = model

    def read(self, text: str) -> list[int]:
        """Normalize a text and give each character its id.

        Raises ValueError, in a sentence, for what the model cannot read: nothing, too much, or a character
        that it has never seen.
        """
        text = normalize(text)
        if not text:
            raise ValueError(NOTHING_TO_READ)
        if len(text) > LONGEST_SOURCE:
            raise ValueError(TOO_LONG.format(count=len(text), most=LONGEST_SOURCE))
        unknown = [c for c in dict.fromkeys(text) if c not in self.source_tokenizer.vocabulary]
        if unknown:
            raise ValueError(UNKNOWN_CHARACTERS.format(characters=" ".join(unknown)))
        return self.source_tokenizer.encode(text)

    def translate(self, text: str, decode: Callable[..., list[Hypothesis]] = greedy) -> Translation:
        """Write the ISO form of a date, and show how.

        `decode` chooses the tokens: `greedy`, or another function of model, ids and max_new_tokens that returns
        a hypothesis a row, such as `partial(sample, temperature=2.0)`. What is no date gets an answer as well:
        a model always answers.

        Raises ValueError, in a sentence, for what the model cannot read, and for another `decode`.
        """
        source_ids = self.read(text)
        written = decode_one(decode, self.model, source_ids, max_new_tokens=LONGEST_TARGET)
        return self._look_back(source_ids, written)

    def translate_all(self, texts: Sequence[str], batch_size: int = 256) -> list[str]:
        """Write the ISO forms of many dates, by greedy decoding, without looking into the model.

        Raises ValueError, in a sentence, where one of them cannot be read.
        """
        _check_size("batch_size", batch_size)
        rows = [self.read(text) for text in listed_texts(texts)]
        # Texts of like lengths share a batch, so that little of it is padding.
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        answers = [""] * len(rows)
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            written = greedy(self.model, [rows[i] for i in chosen], LONGEST_TARGET)
            for i, hypothesis in zip(chosen, written, strict=True):
                answers[i] = self.target_tokenizer.decode(hypothesis.token_ids)
        return answers

    @torch.no_grad()
    def _look_back(self, source_ids: list[int], written: Hypothesis) -> Translation:
        """Pass the finished text through the model once: all steps side by side, as in training."""
        target = self.target_tokenizer
        new = written.token_ids + ([target.vocabulary["<eos>"]] if written.ended else [])
        source = torch.tensor([source_ids])
        inputs = torch.tensor([[target.vocabulary["<bos>"], *new[:-1]]])
        encoder_record, decoder_record = [], []
        with in_mode(self.model, training=False):
            memory = self.model.encode(source, record=encoder_record)
            logits = self.model.decode(inputs, memory, source, record=decoder_record)
        probabilities = logits[0].softmax(-1)
        return Translation(
            text=target.decode(written.token_ids),
            source_tokens=[self.source_tokenizer.tokens[i] for i in source_ids],
            target_tokens=[target.tokens[i] for i in new],
            token_probabilities=probabilities[range(len(new)), new].tolist(),
            encoder_attention=torch.cat(encoder_record),
            decoder_attention=torch.cat(decoder_record[0::2]),
            cross_attention=torch.cat(decoder_record[1::2]),
            probabilities=probabilities,
            vocabulary=list(target.tokens),
        )


def load(path: str | Path = DATA / "translator.safetensors") -> Translator:
    """Load the translator that ships with the course; each call gives a model of its own.

    Raises ValueError where there is no such file.

    >>> round(load().translate("5 March 2024").probability, 1)
    1.0
    """
    model, _ = load_model(path)
    return Translator(model)


def translator_config(d_model: int = 64, heads: int = 4) -> TransformerConfig:
    """Choose the sizes of a translator; the one that ships has the defaults.

    Raises ValueError where d_model cannot be split over the heads.

    >>> translator_config().encoder_layers
    2
    """
    _check_size("d_model", d_model, most=4096)
    return TransformerConfig(
        source_vocab=len(source_tokenizer()),
        target_vocab=len(target_tokenizer()),
        d_model=d_model,
        heads=heads,
        d_ff=4 * d_model,
        dropout=0.0,
        norm_first=True,
    )


@dataclass(frozen=True)
class Example:
    """A day as it was written, in which style, and the right answer."""

    style: str
    text: str
    iso: str


def held_out_examples(
    per_style: int = 100, seed: int = 0, styles: Sequence[str] | None = None
) -> list[Example]:
    """Write days of the test split, which no training has seen in any form, `per_style` in each style.

    Raises ValueError for a style that does not exist, and a number or seed that is none.

    >>> examples = held_out_examples(per_style=2, styles=["iso"])
    >>> [example.iso in example.text for example in examples]
    [True, True]
    """
    _check_size("per_style", per_style, most=100_000)
    check_seed(seed)
    rng = random.Random(int(seed))
    days = split().test
    examples = []
    for name in STYLES if styles is None else listed_texts(styles, "styles"):
        fitting = [day for day in days if find_style(name).fits(day)]
        examples += [
            Example(name, normalize(write(day, name, rng)), day.isoformat())
            for day in rng.choices(fitting, k=per_style)
        ]
    return examples


def exact_match(translator: Translator, examples: Sequence[Example]) -> dict[str, float]:
    """Measure the share of examples that are translated without a mistake: "all", then each style.

    Raises ValueError where there is no example, or something else among them.

    >>> exact_match(load(), held_out_examples(per_style=5, styles=["en gb", "ja"]))
    {'all': 1.0, 'en gb': 1.0, 'ja': 1.0}
    """
    _check_translator(translator)
    if not isinstance(examples, list | tuple) or not all(isinstance(e, Example) for e in examples):
        raise ValueError(
            f"examples={_describe(examples)} is no list of Example; use held_out_examples()"
        )
    if not examples:
        raise ValueError("there are no examples to measure with; use held_out_examples()")
    answers = translator.translate_all([example.text for example in examples])
    right: dict[str, list[bool]] = {"all": []}
    for example, answer in zip(examples, answers, strict=True):
        right["all"].append(answer == example.iso)
        right.setdefault(example.style, []).append(answer == example.iso)
    return {style: sum(found) / len(found) for style, found in right.items()}


def _check_translator(translator) -> None:
    if not isinstance(translator, Translator):
        raise ValueError(
            f"translator={_describe(translator)} cannot translate; give a Translator, such as translator.load()"
        )


def _check_translates(model, source, target) -> None:
    for name, tokenizer in (("source", source), ("target", target)):
        if not isinstance(tokenizer, CharTokenizer):
            raise ValueError(
                f"{name}={_describe(tokenizer)} is no tokenizer; give a CharTokenizer, or None"
            )
    if not isinstance(model, Transformer):
        raise ValueError(
            f"model={_describe(type(model).__name__)} cannot translate; give a Transformer"
        )
    sizes = (model.config.source_vocab, model.config.target_vocab)
    if sizes != (len(source), len(target)):
        raise ValueError(
            f"the model has vocabularies of {sizes[0]} and {sizes[1]} tokens, the tokenizers of {len(source)} and "
            f"{len(target)}; build it from translator_config()"
        )
