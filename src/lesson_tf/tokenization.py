"""Tokenization: text cut into pieces, and each piece given a number.

A vocabulary holds the special tokens first, then the pieces seen in training, most frequent first.
"""

import difflib
import re
from collections import Counter
from functools import cache
from numbers import Integral

SPECIAL_TOKENS = ("<pad>", "<unk>", "<bos>", "<eos>")
LANGUAGES = ("en", "ja")
MODES = ("A", "B", "C")

# A word with its apostrophe (don't), a number with its points (3.14), or one sign.
_ENGLISH_WORD = re.compile(r"\d+(?:[.,]\d+)*|\w+(?:['’]\w+)*|[^\w\s]")
# What no encoding can write: Python keeps such halves of a pair, and no analyser reads them.
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


def split_words(text: str, language: str, mode: str = "C") -> list[str]:
    """Cut a text into words: English by a rule, Japanese by the morphological analyser Sudachi.

    Japanese has no spaces, so a dictionary decides; `mode` is Sudachi's: A shortest, C longest units.

    Raises ValueError for an unknown language or mode, and for what is no text.

    Source: Takaoka et al. (2018) for Japanese.

    >>> split_words("今日は良い天気です", "ja")
    ['今日', 'は', '良い', '天気', 'です']
    >>> split_words("It isn't 3.14, is it?", "en")
    ['It', "isn't", '3.14', ',', 'is', 'it', '?']
    """
    _check_text(text)
    _check_choice("language", language, LANGUAGES)
    _check_choice("mode", mode, MODES)
    if language == "en":
        return _ENGLISH_WORD.findall(text)
    return [word for m in _sudachi()(text, mode) if (word := m.surface().strip())]


class Tokenizer:
    """A vocabulary, and the way from text to its ids and back; subclasses say how text is cut.

    Raises ValueError where the vocabulary lacks a special token or gives two tokens one id.

    >>> tokenizer = CharTokenizer.train("abc")
    >>> tokenizer.encode("cab"), len(tokenizer), tokenizer.pad_id
    ([6, 4, 5], 7, 0)
    """

    separator = ""

    def __init__(self, vocabulary: dict[str, int]):
        _check_vocabulary(vocabulary)
        self.vocabulary = dict(vocabulary)
        self._tokens = sorted(vocabulary, key=vocabulary.get)

    @property
    def pad_id(self) -> int:
        """The id of padding."""
        return self.vocabulary["<pad>"]

    @property
    def unknown_id(self) -> int:
        """The id of every token that the vocabulary does not hold."""
        return self.vocabulary["<unk>"]

    def tokenize(self, text: str) -> list[str]:
        """Cut the text; give back the pieces as strings."""
        raise NotImplementedError

    def encode(self, text: str) -> list[int]:
        """Give each piece of the text its id, and every unknown piece the id of <unk>."""
        return [self.vocabulary.get(token, self.unknown_id) for token in self.tokenize(text)]

    def decode(self, ids) -> str:
        """Join the pieces of the ids again; padding, beginning and end are left out.

        Raises ValueError for what is no list of ids, and for an id that is not in the vocabulary.
        """
        tokens = [self._token(i) for i in _whole_numbers(ids)]
        return self.separator.join(t for t in tokens if t not in ("<pad>", "<bos>", "<eos>"))

    def _token(self, token_id: int) -> str:
        if not 0 <= token_id < len(self._tokens):
            raise ValueError(
                f"token id {_describe(token_id)} is outside the vocabulary of {len(self._tokens)}; use 0 to {len(self._tokens) - 1}"
            )
        return self._tokens[token_id]

    def __len__(self) -> int:
        """Return the size of the vocabulary, special tokens included."""
        return len(self.vocabulary)


class CharTokenizer(Tokenizer):
    """One token a character (a Unicode code point).

    Raises ValueError for what is no text.

    >>> tokenizer = CharTokenizer.train("天気です")
    >>> tokenizer.tokenize("良い天気")
    ['良', 'い', '天', '気']
    >>> tokenizer.decode(tokenizer.encode("良い天気"))
    '<unk><unk>天気'
    """

    @classmethod
    def train(cls, text: str, max_vocabulary: int | None = None) -> "CharTokenizer":
        """Collect the characters of a text, most frequent first, at most `max_vocabulary` with the special tokens."""
        _check_text(text)
        return cls(_vocabulary(text, max_vocabulary))

    def tokenize(self, text: str) -> list[str]:
        """Cut the text into its characters."""
        _check_text(text)
        return list(text)


class WordTokenizer(Tokenizer):
    """One token a word, in English or Japanese.

    Spaces are not kept: `decode` puts one between English words, and none between Japanese ones.

    Raises ValueError for an unknown language or mode.

    >>> tokenizer = WordTokenizer.train("今日は良い天気です", language="ja")
    >>> tokenizer.encode("明日は良い天気です")
    [1, 5, 6, 7, 8]
    """

    def __init__(self, vocabulary: dict[str, int], language: str, mode: str = "C"):
        _check_choice("language", language, LANGUAGES)
        _check_choice("mode", mode, MODES)
        super().__init__(vocabulary)
        self.language, self.mode = language, mode
        self.separator = " " if language == "en" else ""

    @classmethod
    def train(
        cls, text: str, language: str, mode: str = "C", max_vocabulary: int | None = None
    ) -> "WordTokenizer":
        """Collect the words of a text, most frequent first, at most `max_vocabulary` with the special tokens."""
        return cls(_vocabulary(split_words(text, language, mode), max_vocabulary), language, mode)

    def tokenize(self, text: str) -> list[str]:
        """Cut the text into its words."""
        return split_words(text, self.language, self.mode)


def _vocabulary(pieces, max_vocabulary: int | None) -> dict[str, int]:
    """Number the special tokens, then the pieces by frequency; equal ones in the order of first sight."""
    _check_max_vocabulary(max_vocabulary)
    counted = [piece for piece, _ in Counter(pieces).most_common() if piece not in SPECIAL_TOKENS]
    tokens = [*SPECIAL_TOKENS, *counted][:max_vocabulary]
    return {token: token_id for token_id, token in enumerate(tokens)}


@cache
def _sudachi():
    """Load the small dictionary once; give back a function from text and mode to morphemes.

    Sudachi refuses more than 49,149 bytes at once, so a long text goes in by lines.
    """
    from sudachipy import Dictionary, SplitMode

    tokenizer = Dictionary(dict="small").tokenizer()

    def analyse(text: str, mode: str):
        for line in text.splitlines():
            for start in range(0, len(line), 10_000):
                yield from tokenizer.tokenize(
                    line[start : start + 10_000], getattr(SplitMode, mode)
                )

    return analyse


def _whole_numbers(ids) -> list[int]:
    """Read ids from a list, an array or a tensor; a float, a truth value or a digit is no id."""
    sentence = f"ids={_describe(ids)} cannot be decoded; give a flat list of token ids, such as encode makes"
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
                f"{_describe(token_id)} is no token id; give a flat list of whole numbers, such as encode makes"
            )
    return ids


def _describe(value) -> str:
    """Show what was given, in one short line."""
    if isinstance(value, int) and value.bit_length() > 64:
        return f"a whole number of {value.bit_length()} bits"
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:37]}..."


def _check_vocabulary(vocabulary) -> None:
    if not isinstance(vocabulary, dict) or not all(isinstance(t, str) for t in vocabulary):
        raise ValueError(
            f"vocabulary={_describe(vocabulary)} is no vocabulary; give a dict from tokens to ids, "
            f"{', '.join(SPECIAL_TOKENS)} among them"
        )
    missing = [token for token in SPECIAL_TOKENS if token not in vocabulary]
    if missing:
        raise ValueError(
            f"the vocabulary lacks {', '.join(missing)}; it must hold {', '.join(SPECIAL_TOKENS)}"
        )
    ids = vocabulary.values()
    whole = all(isinstance(i, Integral) and not isinstance(i, bool) for i in ids)
    if not whole or sorted(ids) != list(range(len(vocabulary))):
        raise ValueError(
            f"the ids of a vocabulary of {len(vocabulary)} tokens must be 0 to {len(vocabulary) - 1}, each once"
        )


def _check_max_vocabulary(max_vocabulary) -> None:
    if max_vocabulary is None:
        return
    whole = isinstance(max_vocabulary, Integral) and not isinstance(max_vocabulary, bool)
    if not whole or max_vocabulary < len(SPECIAL_TOKENS):
        raise ValueError(
            f"max_vocabulary={_describe(max_vocabulary)} has no room for {', '.join(SPECIAL_TOKENS)}; "
            f"use {len(SPECIAL_TOKENS)} or more, as a whole number, or None for no bound"
        )


def _check_text(text) -> None:
    if not isinstance(text, str):
        raise ValueError(f"{type(text).__name__} {_describe(text)} is no text; give a string")
    half = _HALF_CHARACTER.search(text)
    if half:
        raise ValueError(
            f"{half.group()!a} at position {half.start()} is half a character (a lone surrogate) and no text; "
            "remove it, for example by text.encode(errors='ignore').decode()"
        )


def _check_choice(name: str, value, allowed: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in allowed:
        nearest = difflib.get_close_matches(str(value), allowed, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"{name}={_describe(value)} is unknown; use one of {', '.join(allowed)} (the nearest is {nearest!r})"
        )
