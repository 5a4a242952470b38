"""Byte-pair encoding, trained from scratch: join the most frequent pair of neighbours, again and again.

A text is cut into words, and each word into its bytes in UTF-8. Every merge then makes one new token of two.
Because all 256 bytes are tokens, there is no text that the vocabulary cannot write.

Sources: Sennrich et al. (2016) for the merges; Radford et al. (2019) for bytes and the cut into words (GPT-2).
"""

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from numbers import Integral
from pathlib import Path

import regex

from lesson_tf.vocabulary import Tokenizer, check_text, describe, whole_numbers

Pair = tuple[int, int]

# GPT-2's cut: English contractions, letters, digits, other signs (each with the space before it), white space.
# A merge never crosses such a cut.
_WORD = regex.compile(r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
# Where the cut always falls, so that no merge can write the token: between a letter or digit and a sign.
_ALWAYS_CUT = regex.compile(r"[A-Za-z0-9][!-/:-@\[-`{-~]")
_CACHED_WORDS = 100_000


def _byte_symbols() -> list[str]:
    """Give each byte a visible character: its own where it has one, else the next from U+0100 on."""
    visible = {*range(33, 127), *range(161, 173), *range(174, 256)}
    hidden = [byte for byte in range(256) if byte not in visible]
    return [chr(byte if byte in visible else 256 + hidden.index(byte)) for byte in range(256)]


BYTE_SYMBOLS = _byte_symbols()
_BYTE_OF = {symbol: byte for byte, symbol in enumerate(BYTE_SYMBOLS)}


class BPETokenizer(Tokenizer):
    """Byte-level byte-pair encoding: a vocabulary, and the merges in the order in which they were learned.

    Tokens are written with one visible character a byte: Ġ is a space, Ċ a new line. `merges` lists pairs of such
    tokens. Special tokens are never made from text, and `decode` leaves them out.

    Raises ValueError where a byte or a part of a merge is not in the vocabulary.

    >>> tokenizer = BPETokenizer.train("low low low lower lowest", vocab_size=260, special_tokens=["<pad>"])
    >>> tokenizer.merges
    [('l', 'o'), ('lo', 'w'), ('Ġ', 'low')]
    >>> tokenizer.tokenize("slow 低")
    ['s', 'low', 'Ġ', 'ä', '½', 'İ']
    >>> tokenizer.decode(tokenizer.encode("slow 低"))
    'slow 低'
    """

    required_tokens = ()

    def __init__(self, vocabulary: dict[str, int], merges: Iterable[tuple[str, str]]):
        super().__init__(vocabulary)
        if isinstance(merges, str | bytes) or not isinstance(merges, Iterable):
            raise ValueError(f"merges={describe(merges)} are none; give a list of pairs of tokens")
        self.merges = [
            tuple(merge) if isinstance(merge, list | tuple) else (merge,) for merge in merges
        ]
        _check_merges(vocabulary, self.merges)
        ids = self.vocabulary
        self._byte_ids = [ids[symbol] for symbol in BYTE_SYMBOLS]
        # Which pair is joined first, and what it becomes.
        self._ranks = {
            (ids[left], ids[right]): (rank, ids[left + right])
            for rank, (left, right) in enumerate(self.merges)
        }
        made = {left + right for left, right in self.merges}.union(BYTE_SYMBOLS)
        self.special_tokens = tuple(token for token in self._tokens if token not in made)
        self._bytes = [
            bytes(_BYTE_OF[symbol] for symbol in token) if token in made else b""
            for token in self._tokens
        ]
        self._cache: dict[str, list[int]] = {}

    @classmethod
    def train(
        cls,
        text: str | Iterable[str],
        vocab_size: int,
        special_tokens: Sequence[str] = (),
        min_frequency: int = 2,
    ) -> "BPETokenizer":
        """Learn merges from a text, or from several, until the vocabulary is full or no pair is frequent enough.

        Ids go to the special tokens, then to the 256 bytes, then to the merges. Of equally frequent pairs, the one
        with the smaller ids is joined first.

        Raises ValueError where the bytes and special tokens do not fit, and for a special token that text could spell.

        >>> len(BPETokenizer.train(["a rose is a rose", "is a rose"], vocab_size=300))
        262
        """
        _check_special_tokens(special_tokens)
        _check_sizes(vocab_size, min_frequency, len(special_tokens))
        tokens = [*special_tokens, *sorted(BYTE_SYMBOLS)]
        vocabulary = {token: token_id for token_id, token in enumerate(tokens)}
        neighbours = _Neighbours(count_words(text), vocabulary)
        merges = []
        while len(vocabulary) < vocab_size:
            pair = neighbours.most_frequent(min_frequency)
            if pair is None:
                break
            left, right = tokens[pair[0]], tokens[pair[1]]
            merges.append((left, right))
            if left + right not in vocabulary:
                vocabulary[left + right] = len(tokens)
                tokens.append(left + right)
            neighbours.join(pair, vocabulary[left + right])
        return cls(vocabulary, merges)

    def tokenize(self, text: str) -> list[str]:
        """Cut the text into tokens, written with one visible character a byte."""
        return [self._tokens[token_id] for token_id in self.encode(text)]

    def encode(self, text: str) -> list[int]:
        """Cut the text into words, and apply the merges to each word, the earliest learned first.

        Raises ValueError for what is no text.
        """
        check_text(text)
        ids = []
        for word in _WORD.findall(text):
            found = self._cache.get(word)
            ids += self._encode_word(word) if found is None else found
        return ids

    def decode(self, ids) -> str:
        """Join the bytes of the ids; bytes that are no whole character become the sign �.

        Raises ValueError for what is no list of ids, and for an id that is not in the vocabulary.

        >>> tokenizer = BPETokenizer.train("", vocab_size=256)
        >>> tokenizer.decode(tokenizer.encode("天")[:2])
        '�'
        """
        ids = whole_numbers(ids)
        for token_id in ids:
            self._token(token_id)
        return b"".join(self._bytes[i] for i in ids).decode("utf-8", errors="replace")

    def after_merges(self, count: int) -> "BPETokenizer":
        """Give back the tokenizer as it was in training after so many merges: their tokens, in the order of their ids.

        Raises ValueError for a count below 0 or above the number of merges.

        >>> tokenizer = BPETokenizer.train("low low low lower lowest", vocab_size=259)
        >>> tokenizer.after_merges(1).tokenize("lower")
        ['lo', 'w', 'e', 'r']
        """
        _check_count(count, len(self.merges))
        merges = self.merges[:count]
        kept = {left + right for left, right in merges}.union(BYTE_SYMBOLS, self.special_tokens)
        tokens = [token for token in self._tokens if token in kept]
        return type(self)({token: token_id for token_id, token in enumerate(tokens)}, merges)

    def save(self, folder: str | Path) -> None:
        """Write `vocab.json` and `merges.txt` into the folder, as GPT-2's were published."""
        folder = _as_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        ordered = {token: token_id for token_id, token in enumerate(self._tokens)}
        text = json.dumps(ordered, ensure_ascii=False)
        (folder / "vocab.json").write_text(text, encoding="utf-8")
        lines = ["#version: 0.2", *(f"{left} {right}" for left, right in self.merges)]
        (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> "BPETokenizer":
        """Read `vocab.json` and `merges.txt`, ours or any others of byte-level BPE with GPT-2's cut into words.

        Raises ValueError where a file is missing or is not of this form.
        """
        folder = _as_folder(folder)
        vocabulary = _read_vocabulary(folder / "vocab.json")
        return cls(vocabulary, _read_merges(folder / "merges.txt"))

    def _encode_word(self, word: str) -> list[int]:
        ids = [self._byte_ids[byte] for byte in word.encode("utf-8")]
        while True:
            known = [self._ranks[pair] + pair for pair in pairwise(ids) if pair in self._ranks]
            if not known:
                break
            _, new_id, *pair = min(known)
            ids = join_pair(ids, tuple(pair), new_id)
        if len(self._cache) >= _CACHED_WORDS:
            self._cache.clear()
        self._cache[word] = ids
        return ids


def count_words(text: str | Iterable[str]) -> Counter[str]:
    """Cut a text, or several, into GPT-2's words, which keep the space before them; count them.

    Raises ValueError for what is no text.

    >>> count_words("It's 3 o'clock, it's")
    Counter({"'s": 2, 'It': 1, ' 3': 1, ' o': 1, "'": 1, 'clock': 1, ',': 1, ' it': 1})
    """
    counts: Counter[str] = Counter()
    for part in _texts(text):
        check_text(part)
        counts.update(_WORD.findall(part))
    return counts


def join_pair(ids: list[int], pair: Pair, new_id: int) -> list[int]:
    """Put the new id wherever the pair stands, from left to right.

    >>> join_pair([7, 7, 7, 1], (7, 7), 9)
    [9, 7, 1]
    """
    joined = []
    position = 0
    while position < len(ids):
        found = tuple(ids[position : position + 2]) == pair
        joined.append(new_id if found else ids[position])
        position += 2 if found else 1
    return joined


def count_pairs(words: Iterable[Sequence[int]], counts: Iterable[int]) -> Counter[Pair]:
    """Count the pairs of neighbours in words of ids, each word as often as it occurs.

    >>> count_pairs([[1, 2, 3], [1, 2]], [5, 2])
    Counter({(1, 2): 7, (2, 3): 5})
    """
    pairs = Counter()
    for ids, count in zip(words, counts, strict=True):
        for pair in pairwise(ids):
            pairs[pair] += count
    return pairs


class _Neighbours:
    """Words as ids, how often each pair of neighbours occurs in them, and in which words.

    Each different word is kept once, with its count; a merge touches only the words that hold its pair.
    """

    def __init__(self, words: Counter[str], vocabulary: dict[str, int]):
        byte_ids = [vocabulary[symbol] for symbol in BYTE_SYMBOLS]
        self.words = [[byte_ids[byte] for byte in word.encode("utf-8")] for word in words]
        self.word_counts = list(words.values())
        self.pair_counts = count_pairs(self.words, self.word_counts)
        self.words_with: defaultdict[Pair, set[int]] = defaultdict(set)
        for index, ids in enumerate(self.words):
            for pair in pairwise(ids):
                self.words_with[pair].add(index)
        # The most frequent pair first; of equally frequent ones the smaller ids.
        self.queue = [(-count, pair) for pair, count in self.pair_counts.items()]
        heapq.heapify(self.queue)

    def most_frequent(self, min_frequency: int) -> Pair | None:
        """Take the most frequent pair from the queue; a count that is no longer true is passed over."""
        while self.queue:
            count, pair = heapq.heappop(self.queue)
            if -count < min_frequency:
                return None
            if self.pair_counts[pair] == -count:
                return pair
        return None

    def join(self, pair: Pair, new_id: int) -> None:
        """Join the pair in every word that holds it, and bring the counts up to date."""
        changes: Counter[Pair] = Counter()
        for index in self.words_with.pop(pair):
            before, count = self.words[index], self.word_counts[index]
            after = self.words[index] = join_pair(before, pair, new_id)
            for neighbours in pairwise(before):
                changes[neighbours] -= count
            for neighbours in pairwise(after):
                changes[neighbours] += count
                if new_id in neighbours:
                    self.words_with[neighbours].add(index)
        for neighbours, change in changes.items():
            if change:
                self.pair_counts[neighbours] += change
                heapq.heappush(self.queue, (-self.pair_counts[neighbours], neighbours))


def _texts(text: str | Iterable[str]) -> Iterable[str]:
    """Read one text as a list of one."""
    if isinstance(text, str):
        return [text]
    if isinstance(text, bytes) or not isinstance(text, Iterable):
        raise ValueError(
            f"{type(text).__name__} {describe(text)} is no text; give a string or a list of strings"
        )
    return text


def _as_folder(folder) -> Path:
    try:
        return Path(folder)
    except TypeError:
        raise ValueError(
            f"folder={describe(folder)} is no path; give a string or a pathlib.Path"
        ) from None


def _read_vocabulary(path: Path) -> dict:
    try:
        return json.loads(_read(path))
    except json.JSONDecodeError as problem:
        raise ValueError(
            f"{path.name} is no JSON ({problem}); it must map tokens to ids, as save writes it"
        ) from None


def _read_merges(path: Path) -> list[tuple[str, ...]]:
    lines = _read(path).splitlines()
    return [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]


def _read(path: Path) -> str:
    if not path.is_file():
        raise ValueError(
            f"{path.parent} holds no {path.name}; give a folder with vocab.json and merges.txt, as save writes them"
        )
    return path.read_text(encoding="utf-8")


def _check_merges(vocabulary: dict[str, int], merges: list[tuple[str, ...]]) -> None:
    missing = [symbol for symbol in BYTE_SYMBOLS if symbol not in vocabulary]
    if missing:
        raise ValueError(
            f"the vocabulary lacks {len(missing)} of the 256 bytes, {missing[0]!r} first; it is none of byte-level BPE"
        )
    for rank, merge in enumerate(merges):
        if len(merge) != 2 or not all(isinstance(token, str) for token in merge):
            raise ValueError(f"merge {rank} is {describe(merge)}; a merge is a pair of tokens")
        lacking = [token for token in (*merge, "".join(merge)) if token not in vocabulary]
        if lacking:
            raise ValueError(
                f"merge {rank}, {describe(merge)}, needs {lacking[0]!r}, which the vocabulary lacks; "
                "give the vocabulary and the merges of one training"
            )


def _check_special_tokens(special_tokens) -> None:
    if isinstance(special_tokens, str) or not isinstance(special_tokens, Sequence):
        raise ValueError(
            f"special_tokens={describe(special_tokens)} is no list of tokens; "
            "give a list of strings such as ['<pad>', '<eos>']"
        )
    for token in special_tokens:
        if not isinstance(token, str) or not _ALWAYS_CUT.search(token):
            raise ValueError(
                f"special token {describe(token)} could be a piece of text; put it in angle brackets, as '<pad>'"
            )
    if len(set(special_tokens)) < len(special_tokens):
        raise ValueError(f"special_tokens={describe(special_tokens)} names a token twice")


def _check_count(count, merges: int) -> None:
    whole = isinstance(count, Integral) and not isinstance(count, bool)
    if not whole or not 0 <= count <= merges:
        raise ValueError(
            f"count={describe(count)} is no number of merges; use a whole number from 0 to {merges}"
        )


def _check_sizes(vocab_size, min_frequency, special_tokens: int) -> None:
    least_vocabulary = 256 + special_tokens
    for name, value, least in (
        ("vocab_size", vocab_size, least_vocabulary),
        ("min_frequency", min_frequency, 1),
    ):
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise ValueError(f"{name}={describe(value)} is no whole number; use {least} or more")
        if value < least:
            room = f"; 256 bytes and {special_tokens} special tokens need ids" if least > 1 else ""
            raise ValueError(f"{name}={describe(value)} is too small; use {least} or more{room}")
