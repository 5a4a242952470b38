"""The language model that ships with the course: it continues texts in the manner of torch's documentation.

Decoder-only, trained by the book's own code (`make models`) on byte-pair tokens of the documentation that
comes with torch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from lesson_tf.attention import _check_size, _describe
from lesson_tf.byte_pair_encoding import BPETokenizer
from lesson_tf.decoding import Hypothesis, decode_one, greedy, next_token_probabilities
from lesson_tf.model_files import DATA, as_path, load_model
from lesson_tf.training import sequence_loss
from lesson_tf.transformer import LanguageModel, TransformerConfig, in_mode
from lesson_tf.vocabulary import check_seed, describe, listed_texts, whole_numbers

END = "<eos>"  # stands before the first text, between two texts, and after the last
LONGEST_CONTEXT = 256  # tokens, as in training; of a longer text the last ones are read


class TextBatches:
    """Windows of text, cut at random places: batch `step` depends on `seed` and `step` alone.

    Raises ValueError where the texts together are no longer than a window, for what are no ids, and for a step
    below 0.

    >>> batches = TextBatches([[1, 2, 3], [4, 5]], end_id=0, length=4, batch_size=2, seed=0)
    >>> batches[0][0].shape
    torch.Size([2, 5])
    """

    def __init__(
        self,
        sequences: Sequence[Sequence[int]],
        end_id: int,
        length: int,
        batch_size: int,
        seed: int,
    ):
        _check_size("length", length)
        _check_size("batch_size", batch_size)
        check_seed(seed)
        _check_count("end_id", end_id)
        stream = [token for ids in _listed_sequences(sequences) for token in (end_id, *ids)]
        self.stream = torch.tensor([*stream, end_id])
        self.length, self.batch_size, self.seed = length, batch_size, int(seed)
        if len(self.stream) <= length:
            raise ValueError(
                f"the texts have {len(self.stream)} tokens and a window needs {length + 1}; "
                f"give more text, or length={len(self.stream) - 1} or less"
            )

    def __getitem__(self, step: int) -> tuple[Int[Tensor, "batch window"]]:
        """Cut the windows of a step: `(B, length + 1)`, each token the target of the one before."""
        _check_count("step", step)
        # What manual_seed takes has 64 bits.
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + int(step)) % 2**63)
        starts = torch.randint(
            len(self.stream) - self.length, (self.batch_size, 1), generator=generator
        )
        return (self.stream[starts + torch.arange(self.length + 1)],)


@dataclass(frozen=True)
class Continuation:
    """What the model wrote after a prompt, token by token, and how probable each token was to it."""

    prompt: str
    text: str
    tokens: list[str]
    token_probabilities: list[float]
    ended: bool


class Writer:
    """A language model with its tokenizer.

    Raises ValueError for another model, and for a tokenizer without <eos> or with more tokens than the model.

    >>> writer = load()
    >>> writer.continue_text("Returns a new", max_new_tokens=1).text
    ' tensor'
    """

    def __init__(self, model: LanguageModel, tokenizer: BPETokenizer):
        _check_writes(model, tokenizer)
        self.model, self.tokenizer = model, tokenizer
        self.end_id = tokenizer.vocabulary[END]

    def read(self, text: str) -> list[int]:
        """Cut a text into ids that follow the end of another text; of a long one, the last ids alone.

        Raises ValueError for what is no text.
        """
        return [self.end_id, *self.tokenizer.encode(text)][-LONGEST_CONTEXT:]

    def continue_text(
        self,
        prompt: str,
        max_new_tokens: int = 64,
        decode: Callable[..., list[Hypothesis]] = greedy,
    ) -> Continuation:
        """Continue a prompt, which may be empty, until the text ends or after `max_new_tokens`.

        `decode` chooses the tokens: `greedy`, or another function of model, ids, max_new_tokens and eos_id that
        returns a hypothesis a row, such as `partial(sample, temperature=0.7)`.

        Raises ValueError for what is no text, and for another `decode`.
        """
        written = decode_one(
            decode,
            self.model,
            self.read(prompt),
            max_new_tokens=max_new_tokens,
            eos_id=self.end_id,
        )
        probabilities = torch.tensor(written.log_probabilities).exp().tolist()
        return Continuation(
            prompt=prompt,
            text=self.tokenizer.decode(written.token_ids),
            tokens=[self.tokenizer.decode([i]) for i in written.token_ids],
            token_probabilities=probabilities[: len(written.token_ids)],
            ended=written.ended,
        )

    @torch.no_grad()
    def next_token(self, prompt: str, most: int = 8, **shaping) -> dict[str, float]:
        """Name the most probable next tokens with their probabilities, most probable first.

        `shaping` are temperature, top_k and top_p of `next_token_probabilities`.

        Raises ValueError for what is no text, for a shaping that is none, and for `most` below 1.
        """
        _check_size("most", most)
        with in_mode(self.model, training=False):
            logits = self.model(torch.tensor([self.read(prompt)]))[0, -1]
        probabilities = next_token_probabilities(logits, **shaping)
        values, ids = probabilities.topk(min(most, len(probabilities)))
        return {
            self.name(i): value
            for i, value in zip(ids.tolist(), values.tolist(), strict=True)
            if value > 0
        }

    def name(self, token_id: int) -> str:
        """Show a token: its text, the end as <eos>, and bytes that are no whole character as they are stored.

        Raises ValueError for an id that is not in the vocabulary.
        """
        text = self.tokenizer.decode([token_id])
        if token_id == self.end_id:
            return END
        return f"<byte {self.tokenizer.tokens[token_id]}>" if "\ufffd" in text else text

    def sequence(self, text: str) -> list[int]:
        """Cut a whole text into ids, with the end before and after it."""
        return [self.end_id, *self.tokenizer.encode(text), self.end_id]

    def loss(self, texts: Sequence[str]) -> float:
        """Return the mean loss over all tokens of the texts and their ends, in nats a token."""
        return held_out_loss(self.model, [self.sequence(text) for text in listed_texts(texts)])


@torch.no_grad()
def held_out_loss(
    model: LanguageModel, sequences: Sequence[Sequence[int]], length: int = LONGEST_CONTEXT
) -> float:
    """Return the mean loss over all tokens but the first of each sequence, in nats a token.

    A sequence longer than `length` is read in windows that overlap by half: every token is scored once, by
    the window that shows most of what comes before it.

    Raises ValueError where no sequence has two tokens, for what are no ids, and for a length below 2.
    """
    if not isinstance(model, LanguageModel):
        raise ValueError(
            f"model={_describe(type(model).__name__)} predicts no text; give a LanguageModel"
        )
    _check_size("length", length)
    if length < 2:
        raise ValueError("length=1 leaves no half to overlap by; use 2 or more")
    total = count = 0
    for sequence in _listed_sequences(sequences):
        scored = 1  # the first token is given, not predicted
        for start in range(0, max(1, len(sequence) - 1), length // 2):
            window = torch.tensor([sequence[start : start + length + 1]])
            new = start + window.shape[1] - scored
            if new <= 0:
                break
            with in_mode(model, training=False):
                logits = model(window[:, :-1])[:, -new:]
            total += sequence_loss(logits, window[:, -new:]).item() * new
            count, scored = count + new, scored + new
    if not count:
        raise ValueError("no sequence has two tokens, so there is nothing to predict")
    return total / count


def load(folder: str | Path = DATA / "language_model") -> Writer:
    """Load the language model that ships with the course; each call gives a model of its own.

    Raises ValueError where there is no such file.

    >>> len(load().tokenizer)
    1024
    """
    folder = as_path("folder", folder)
    model, _ = load_model(folder / "weights.safetensors")
    return Writer(model, BPETokenizer.load(folder))


def language_model_config(vocab: int = 1024) -> TransformerConfig:
    """Choose the sizes of the language model that ships.

    >>> language_model_config().decoder_layers
    4
    """
    return TransformerConfig(
        source_vocab=vocab,
        target_vocab=vocab,
        d_model=128,
        heads=4,
        encoder_layers=1,
        decoder_layers=4,
        d_ff=512,
        dropout=0.1,
        norm_first=True,
        positions="rotary",
        pad_id=None,
        tie_embeddings=True,
    )


def _listed_sequences(sequences) -> list[list[int]]:
    """Read sequences of ids: lists, arrays or tensors."""
    if isinstance(sequences, str | bytes) or not isinstance(sequences, list | tuple | Tensor):
        raise ValueError(
            f"sequences={_describe(sequences)} are no sequences of ids; give lists such as encode makes"
        )
    return [whole_numbers(ids) for ids in sequences]


def _check_count(name: str, value) -> None:
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or not 0 <= value < 2**63:
        raise ValueError(f"{name}={describe(value)} counts nothing; use a whole number from 0 on")


def _check_writes(model, tokenizer) -> None:
    if not isinstance(model, LanguageModel):
        raise ValueError(
            f"model={_describe(type(model).__name__)} continues no text; give a LanguageModel"
        )
    if not isinstance(tokenizer, BPETokenizer) or END not in tokenizer.vocabulary:
        raise ValueError(
            f"tokenizer={_describe(type(tokenizer).__name__)} has no {END}; give a BPETokenizer trained with "
            f"special_tokens=({END!r},)"
        )
    if len(tokenizer) > model.config.target_vocab:
        raise ValueError(
            f"the tokenizer has {len(tokenizer)} tokens and the model {model.config.target_vocab}; "
            f"build it from language_model_config({len(tokenizer)})"
        )
