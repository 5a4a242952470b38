"""A vocabulary: tokens, their ids, and the way from text to ids and back."""

import re
from collections.abc import Iterable
from numbers import Integral

SPECIAL_TOKENS = ("<pad>", "<unk>", "<bos>", "<eos>")

# What no encoding can write: Python keeps such halves of a pair, and no tokenizer reads them.
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


class Tokenizer:
    """A vocabulary, and the way from text to its ids and back; subclasses say how text is cut.

    Raises ValueError where the vocabulary lacks a special token or gives two tokens one id.

    >>> from lesson_tf.tokenization import CharTokenizer
    >>> tokenizer = CharTokenizer.train("abc")
    >>> tokenizer.encode("cab"), len(tokenizer), tokenizer.pad_id
    ([6, 4, 5], 7, 0)
    """

    separator = ""
    required_tokens = SPECIAL_TOKENS

    def __init__(self, vocabulary: dict[str, int]):
        _check_vocabulary(vocabulary, self.required_tokens)
        self.vocabulary = dict(vocabulary)
        self._tokens = sorted(vocabulary, key=vocabulary.get)

    @property
    def tokens(self) -> list[str]:
        """Every token, in the order of the ids."""
        return list(self._tokens)

    @property
    def pad_id(self) -> int:
        """The id of padding."""
        return self._special_id("<pad>")

    @property
    def unknown_id(self) -> int:
        """The id of every token that the vocabulary does not hold."""
        return self._special_id("<unk>")

    @property
    def bos_id(self) -> int:
        """The id that begins a sequence."""
        return self._special_id("<bos>")

    @property
    def eos_id(self) -> int:
        """The id that ends a sequence."""
        return self._special_id("<eos>")

    def tokenize(self, text: str) -> list[str]:
        """Cut the text; give back the pieces as strings."""
        raise NotImplementedError

    def encode(self, text: str) -> list[int]:
        """Give each piece of the text its id, and every unknown piece the id of <unk>."""
        unknown = self.unknown_id
        return [self.vocabulary.get(token, unknown) for token in self.tokenize(text)]

    def decode(self, ids) -> str:
        """Join the pieces of the ids again; padding, beginning and end are left out.

        Raises ValueError for what is no list of ids, and for an id that is not in the vocabulary.
        """
        tokens = [self._token(i) for i in whole_numbers(ids)]
        return self.separator.join(t for t in tokens if t not in ("<pad>", "<bos>", "<eos>"))

    def _token(self, token_id: int) -> str:
        if not 0 <= token_id < len(self._tokens):
            raise ValueError(
                f"token id {describe(token_id)} is outside the vocabulary of {len(self._tokens)}; use 0 to {len(self._tokens) - 1}"
            )
        return self._tokens[token_id]

    def _special_id(self, token: str) -> int:
        """Look up a special token; a vocabulary without it has no such attribute."""
        if token not in self.vocabulary:
            raise AttributeError(
                f"this vocabulary has no {token}; train it with special_tokens=({token!r},)"
            )
        return self.vocabulary[token]

    def __len__(self) -> int:
        """Return the size of the vocabulary, special tokens included."""
        return len(self.vocabulary)


def whole_numbers(ids) -> list[int]:
    """Read ids from a list, an array or a tensor; a float, a truth value or a digit is no id."""
    sentence = (
        f"ids={describe(ids)} cannot be read; give a flat list of token ids, such as encode makes"
    )
    if isinstance(ids, str | bytes | dict):
        raise ValueError(sentence)
    try:
        ids = list(ids.tolist() if hasattr(ids, "tolist") else ids)  # an array or a tensor has it
    except (TypeError, RuntimeError):
        raise ValueError(sentence) from None
    ids = [i.item() if hasattr(i, "item") and getattr(i, "ndim", 1) == 0 else i for i in ids]
    for token_id in ids:
        if isinstance(token_id, bool) or not isinstance(token_id, Integral):
            raise ValueError(
                f"{describe(token_id)} is no token id; give a flat list of whole numbers, such as encode makes"
            )
    return ids


def check_text(text) -> None:
    """Raise ValueError for what is no string, and for a lone surrogate."""
    if not isinstance(text, str):
        raise ValueError(f"{type(text).__name__} {describe(text)} is no text; give a string")
    half = _HALF_CHARACTER.search(text)
    if half:
        raise ValueError(
            f"{half.group()!a} at position {half.start()} is half a character (a lone surrogate) and no text; "
            "remove it, for example by text.encode(errors='ignore').decode()"
        )


def listed_texts(texts, name: str = "texts") -> list[str]:
    """Read several texts as a list; one text alone, and what is no text, raises ValueError."""
    sentence = f"{name}={describe(texts)} is no list of texts; give a list of strings"
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise ValueError(sentence)
    try:
        texts = list(texts)
    except TypeError:  # a tensor of no dimension calls itself iterable
        raise ValueError(sentence) from None
    for text in texts:
        check_text(text)
    return texts


def check_seed(seed) -> None:
    """Raise ValueError for a seed that is no whole number."""
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise ValueError(f"seed={describe(seed)} is no whole number; use one such as 0")


def describe(value) -> str:
    """Show what was given, in one short line."""
    if isinstance(value, int) and value.bit_length() > 64:
        return f"a whole number of {value.bit_length()} bits"
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:37]}..."


def _check_vocabulary(vocabulary, required_tokens: tuple[str, ...]) -> None:
    if not isinstance(vocabulary, dict) or not all(isinstance(t, str) for t in vocabulary):
        needed = f", {', '.join(required_tokens)} among them" if required_tokens else ""
        raise ValueError(
            f"vocabulary={describe(vocabulary)} is no vocabulary; give a dict from tokens to ids{needed}"
        )
    missing = [token for token in required_tokens if token not in vocabulary]
    if missing:
        raise ValueError(
            f"the vocabulary lacks {', '.join(missing)}; it must hold {', '.join(required_tokens)}"
        )
    ids = vocabulary.values()
    whole = all(isinstance(i, Integral) and not isinstance(i, bool) for i in ids)
    if not whole or sorted(ids) != list(range(len(vocabulary))):
        raise ValueError(
            f"the ids of a vocabulary of {len(vocabulary)} tokens must be 0 to {len(vocabulary) - 1}, each once"
        )
