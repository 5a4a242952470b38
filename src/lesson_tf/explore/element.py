"""The HTML element of an explorer: what a page without a kernel needs to show every stop.

The element holds the first picture and its sentence, which stand there without any script, and the
states at all stops, computed by the same function as everywhere else.
"""

import base64
import html
import json
import math
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor

from lesson_tf import figures
from lesson_tf.explore.controls import Control, Slider, Text
from lesson_tf.explore.explorer import Explorer
from lesson_tf.explore.words import DRAWINGS, words_for

STEP = 0.001  # what the numbers of an array are rounded to
SMALL = (
    240  # so few numbers are written in a cell each: a tenth of the step, so that 0.9751 is 0.98
)
MOST_OFFERS = 4


def element(explorer: Explorer, picture: bytes) -> str:
    """Write the element with the picture of the first state, and all states in a compressed script.

    >>> from lesson_tf import explore
    >>> element(explore.masks(), b"").split(">")[0]
    '<lesson-explorer name="masks"'
    """
    encoded = base64.b64encode(picture).decode("ascii")
    sentence = html.escape(explorer.state().sentence)
    width, height = (round(120 * inches) for inches in (figures.TEXT_WIDTH, explorer.height))
    return (
        f'<lesson-explorer name="{html.escape(explorer.name)}">'
        f'<img class="explorer-picture" loading="lazy" src="data:image/png;base64,{encoded}" alt="{sentence}" '
        f'width="{width}" height="{height}">'
        f'<p class="explorer-sentence">{sentence}</p>'
        f'<script type="text/plain">{base64.b64encode(pack(explorer)).decode("ascii")}</script>'
        "</lesson-explorer>"
    )


def pack(explorer: Explorer) -> bytes:
    """Compress controls, words and states: a JSON text after its length, then the arrays.

    An array stands in the JSON as `{"array": number}`; `arrays` tells shape, step and place of each.
    Raises `ValueError` for a drawing that no page knows.
    """
    if explorer.drawing not in DRAWINGS:
        raise ValueError(
            f"no page draws {explorer.drawing!r}; use one of {', '.join(sorted(DRAWINGS))}, or add it to "
            "book/theme/explorers/draw and explore/words.py"
        )
    arrays = _Arrays()
    content = {
        "name": explorer.name,
        "drawing": explorer.drawing,
        "engine": explorer.engine,
        "controls": [_control(control) for control in explorer.controls],
        "words": words_for(explorer.drawing, explorer.engine),
        "states": list(_states(explorer, arrays)),
    }
    if explorer.prediction:
        content["prediction"] = vars(explorer.prediction)
    content["arrays"] = arrays.places
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    return zlib.compress(struct.pack("<I", len(text)) + text + bytes(arrays.data), 9)


def _control(control: Control) -> dict[str, Any]:
    kinds = {Slider: "slider", Text: "text"}
    described = {
        "kind": kinds.get(type(control), "choice"),
        "name": control.name,
        "default": control.default,
        "stops": list(control.stops),
    }
    if isinstance(control, Text):
        described["longest"] = control.longest
    if getattr(control, "play", False):
        described["play"] = True
    return described


def _states(explorer: Explorer, arrays: "_Arrays") -> Iterator[dict[str, Any]]:
    """Give the state of each combination of stops, in the order of `grid`, or why there is none."""
    grid = list(explorer.grid())
    states = [_state_or_error(explorer, values) for values in grid]
    sizes = [len(control.stops) for control in explorer.controls]
    for place, state in enumerate(states):
        if isinstance(state, str):
            offers = _offers(explorer, grid, states, place, sizes)
            yield {"error": state, "offers": offers}
        else:
            yield {
                "arguments": arrays.plain(state.arguments | state.page),
                "sentence": state.sentence,
            }


def _state_or_error(explorer: Explorer, values: dict[str, Any]):
    try:
        return explorer.state(**values)
    except ValueError as error:
        return str(error)


def _offers(explorer, grid, states, place: int, sizes: list[int]) -> list[dict[str, Any]]:
    """Find valid settings that differ in one control, the nearest first."""
    found = []
    for number, control in enumerate(explorer.controls):
        stride = math.prod(sizes[number + 1 :])
        own = place // stride % sizes[number]
        for direction in (-1, 1):
            stops = range(own + direction, sizes[number] if direction > 0 else -1, direction)
            for stop in stops:
                other = place + (stop - own) * stride
                if not isinstance(states[other], str):
                    found.append((abs(stop - own), {control.name: grid[other][control.name]}))
                    break
    found.sort(key=lambda offer: offer[0])
    return [offer for _, offer in found[:MOST_OFFERS]]


class _Arrays:
    """The arrays of all states, each different one once, in the bytes that follow the JSON."""

    def __init__(self):
        self.places: list[dict[str, Any]] = []
        self.data = bytearray()
        self._known: dict[tuple, int] = {}

    def plain(self, value: Any) -> Any:
        """Turn what a drawing takes into what JSON takes; arrays go to the data."""
        if isinstance(value, Tensor | np.ndarray):
            return {"array": self._add(np.asarray(value))}
        if isinstance(value, dict):
            return {plain_text(str(name)): self.plain(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.plain(item) for item in value]
        if isinstance(value, str):
            return plain_text(value)
        return round(value, 4) if isinstance(value, float) else value

    def _add(self, array: np.ndarray) -> int:
        if array.dtype == bool:
            step, numbers = 1, array.astype(np.int16)
        else:
            # Thousandths, unless a number is too large for them in 16 bits.
            step = STEP if array.size > SMALL else STEP / 10
            step = max(step, float(np.abs(array).max(initial=0)) / 32_000)
            numbers = np.round(array / step).astype(np.int16)
        key = (array.shape, step, numbers.tobytes())
        if key not in self._known:
            self._known[key] = len(self.places)
            steps, data = _shortest(numbers)
            place = {"shape": array.shape, "step": step, "start": len(self.data)}
            self.places.append(place | ({"steps": True} if steps else {}))
            self.data += data
        return self._known[key]


def _shortest(numbers: np.ndarray) -> tuple[bool, bytes]:
    """Write numbers as they are, or as steps down each column, whichever zlib makes shorter."""
    columns = numbers.reshape(-1, numbers.shape[-1] if numbers.ndim else 1)
    down = np.diff(columns, axis=0, prepend=np.zeros_like(columns[:1])).T
    written = [(steps, _in_planes(array)) for steps, array in ((False, columns), (True, down))]
    return min(written, key=lambda pair: len(zlib.compress(pair[1], 9)))


def _in_planes(numbers: np.ndarray) -> bytes:
    """Write all low bytes before all high ones: zlib finds more to say about each."""
    flat = np.ascontiguousarray(numbers).ravel().astype("<i2")
    return flat.view(np.uint8).reshape(-1, 2).T.tobytes()


def plain_text(text: str) -> str:
    r"""Write the mathematics of a figure's label as plain text.

    >>> plain_text(r"divided by $\sqrt{d_k}$")
    'divided by √d_k'
    """
    formula = re.sub(r"\$([^$]+)\$", r"\1", text)
    return re.sub(r"\\sqrt\{(.*?)\}", r"√\1", formula)
