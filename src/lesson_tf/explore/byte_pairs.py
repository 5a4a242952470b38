"""The explorer of byte-pair encoding: one text after more and more merges."""

from functools import cache
from typing import Any

from lesson_tf import language_model
from lesson_tf.byte_pair_encoding import BYTE_SYMBOLS, BPETokenizer
from lesson_tf.explore.controls import Slider, Text
from lesson_tf.explore.explorer import Explorer, State
from lesson_tf.explore.words import ENGINES

TEXTS = (
    "The input tensor is returned unchanged.",
    "今日は良い天気です",
    "x = torch.zeros(3, 4, requires_grad=True)",
)
LONGEST = 200
ALL_MERGES = 767  # of the language model's tokenizer


def merges(text: str = TEXTS[0], merges: int = 128) -> Explorer:
    """Explore how merges join the bytes of a text, by the tokenizer of the language model.

    `text` has 1 to 200 characters, `merges` is 0 to 767, the first of those learned. Raises
    `ValueError` for other values.

    >>> merges("今日は良い天気です", merges=767)
    Explorer merges: text=今日は良い天気です, merges=767
    >>> merges().state(merges=0).sentence[:50]
    'With 0 of 767 merges each byte is a token: 39 toke'
    """
    stops = (0, *(2**power for power in range(10)), ALL_MERGES)
    controls = (
        Text("text", TEXTS[0], stops=TEXTS, longest=LONGEST),
        Slider("merges", 128, low=0, high=ALL_MERGES, stops=stops, play=True),
    )
    explorer = Explorer("merges", _merges, controls, "token_chips", height=1.75, engine="merges")
    return explorer.at(text=text, merges=merges)


def _merges(text: str, merges: int) -> State:
    if not text:
        raise ValueError(ENGINES["merges"]["nothing"])
    tokenizer = tokenizer_after(merges)
    ids = tokenizer.encode(text)
    tokens = [tokenizer.tokens[token_id] for token_id in ids]
    ranks = [_rank(token, merges) for token in tokens]
    # The last merge that joined something still stands there: what is joined later is not the last.
    last = max(ranks)
    arguments = {
        "tokens": [readable(token) for token in tokens],
        "ids": ids,
        "made": [place for place, rank in enumerate(ranks) if rank == last > 0],
    }
    origins = [_origin(token, rank) for token, rank in zip(tokens, ranks, strict=True)]
    return State(arguments, _sentence(text, merges, len(ids), last), {"origins": origins})


@cache
def tokenizer_after(count: int) -> BPETokenizer:
    """Give the language model's tokenizer as it was after so many merges."""
    return _whole().after_merges(count)


@cache
def _whole() -> BPETokenizer:
    return language_model.load().tokenizer


@cache
def _ranks() -> dict[str, int]:
    return {"".join(pair): rank for rank, pair in enumerate(_whole().merges, start=1)}


def _rank(token: str, most: int) -> int:
    """Tell by which merge, counted from 1, a token was made; 0 for a byte."""
    rank = _ranks().get(token, 0)
    return rank if rank <= most else 0


def _origin(token: str, rank: int) -> dict[str, Any]:
    """Say what the page cannot know: a token's bytes, and which merge made it of what."""
    origin: dict[str, Any] = {"bytes": _bytes(token).hex(" ").upper(), "merge": rank}
    if rank:
        origin["pair"] = _pair(rank)
    return origin


def _pair(rank: int) -> list[str]:
    return [readable(part) for part in _whole().merges[rank - 1]]


def _sentence(text: str, merges: int, count: int, last: int) -> str:
    words = ENGINES["merges"]
    size = len(text.encode("utf-8"))
    counts = {
        "bytes": words["one_byte" if size == 1 else "many_bytes"].format(count=size),
        "tokens": words["one_token" if count == 1 else "many_tokens"].format(count=count),
        "ratio": f"{len(text) / count:.2f}",
        "merges": merges,
        "all": ALL_MERGES,
    }
    if not merges:
        return words["bytes_alone"].format(**counts)
    if not last:
        return words["unjoined"].format(**counts)
    left, right = _pair(last)
    return words["joined"].format(**counts, last=last, left=left, right=right)


def readable(token: str) -> str:
    """Write a token of one sign a byte as its text with visible spaces, or as bytes if it has none.

    >>> readable("Ġtensor"), readable("ã")
    ('␣tensor', 'E3')
    """
    in_bytes = _bytes(token)
    text = in_bytes.decode("utf-8", errors="replace")
    shown = show_spaces(text)
    return shown if shown.isprintable() and "\ufffd" not in text else in_bytes.hex(" ").upper()


def show_spaces(text: str) -> str:
    r"""Make spaces, line ends and tabs visible, as the page does.

    >>> show_spaces(" a\n")
    '␣a⏎'
    """
    return text.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")


def _bytes(token: str) -> bytes:
    return bytes(BYTE_SYMBOLS.index(symbol) for symbol in token)
