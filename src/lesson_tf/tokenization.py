"""Tokenization: text cut into pieces, and each piece given a number.

A vocabulary holds the special tokens first, then the pieces seen in training, most frequent first.
"""

import difflib
import re
from collections import Counter
from functools import cache
from numbers import Integral

from lesson_tf.byte_pair_encoding import BPETokenizer
from lesson_tf.vocabulary import SPECIAL_TOKENS, Tokenizer, check_text, describe

__all__ = [
    "LANGUAGES",
    "MODES",
    "SPECIAL_TOKENS",
    "BPETokenizer",
    "CharTokenizer",
    "Tokenizer",
    "WordTokenizer",
    "split_words",
]

LANGUAGES = ("en", "ja")
MODES = ("A", "B", "C")

# A word with its apostrophe (don't), a number with its points (3.14), or one sign.
_ENGLISH_WORD = re.compile(r"\d+(?:[.,]\d+)*|\w+(?:['’]\w+)*|[^\w\s]")


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
    check_text(text)
    _check_choice("language", language, LANGUAGES)
    _check_choice("mode", mode, MODES)
    if language == "en":
        return _ENGLISH_WORD.findall(text)
    return [word for m in _sudachi()(text, mode) if (word := m.surface().strip())]


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
        check_text(text)
        return cls(_vocabulary(text, max_vocabulary))

    def tokenize(self, text: str) -> list[str]:
        """Cut the text into its characters."""
        check_text(text)
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


def _check_max_vocabulary(max_vocabulary) -> None:
    if max_vocabulary is None:
        return
    whole = isinstance(max_vocabulary, Integral) and not isinstance(max_vocabulary, bool)
    if not whole or max_vocabulary < len(SPECIAL_TOKENS):
        raise ValueError(
            f"max_vocabulary={describe(max_vocabulary)} has no room for {', '.join(SPECIAL_TOKENS)}; "
            f"use {len(SPECIAL_TOKENS)} or more, as a whole number, or None for no bound"
        )


def _check_choice(name: str, value, allowed: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in allowed:
        nearest = difflib.get_close_matches(str(value), allowed, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"{name}={describe(value)} is unknown; use one of {', '.join(allowed)} (the nearest is {nearest!r})"
        )
