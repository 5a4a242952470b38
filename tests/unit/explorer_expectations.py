"""What Python packs of each explorer, for the tests of the page's scripts to unpack and to draw."""

import base64

import torch

from lesson_tf import explore
from lesson_tf.explore.element import pack
from lesson_tf.explore.translation import HEADS, is_day, translated
from lesson_tf.explore.words import words_for

ALL = (
    explore.softmax,
    explore.heads,
    explore.masks,
    explore.waves,
    explore.merges,
    explore.next_token,
    explore.flow,
    explore.translate,
    explore.distance,
)

TRANSLATED = (
    ("令和6年3月5日", "greedy"),
    ("令和0年1月1日", "temperature 1.5"),
    ("February 30, 2023", "beam of 4"),
    ("10000 BC", "greedy"),
    ("10000 BC", "beam of 4"),
    ("apple", "temperature 1.5"),
    ("no" * 20, "greedy"),
    ("9", "greedy"),
)
DAYS = ("2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29", "0000-01-01", "0001-01-01")
DAYS += ("2024-13-01", "2024-00-10", "2024-01-00", "2024-01-32", "2024-04-31", "9999-12-31")
DAYS += ("", "2024-1-01", "20240101", "2024-W01-1", "2024-01-01T", "１２３４-01-01", "1900-02-0")


def packed(explorer: explore.Explorer) -> str:
    """Give the text of the script in an explorer's element."""
    return base64.b64encode(pack(explorer)).decode("ascii")


def drawings() -> list[dict]:
    """Give every explorer as the page gets it."""
    return [{"name": make().name, "packed": packed(make())} for make in (*ALL, lines)]


def unpack() -> list[dict]:
    """Give three explorers as the page gets them, beside what their states hold."""
    return [
        {
            "name": explorer.name,
            "packed": packed(explorer),
            "controls": [list(control.stops) for control in explorer.controls],
            "states": [_state(explorer, values) for values in explorer.grid()],
        }
        for explorer in (explore.masks(), explore.heads(), _wave())
    ]


def translate() -> dict:
    """Give translations as the page's model gives them, beside the states that Python makes of them."""
    explorer, found = explore.translate(), []
    for date, decoding in TRANSLATED:
        seen = translated(date, decoding)
        states = []
        for step, head in [(1, "mean"), (3, 2), (7, "mean"), (8, 4), (11, 1)]:
            values = {"date": date, "decoding": decoding, "step": step, "head": head}
            state = explorer.state(**values)
            plain = {name: _plain(value) for name, value in state.arguments.items()}
            states.append({**values, "sentence": state.sentence, "arguments": plain})
        found.append({"seen": _as_in_the_page(seen), "states": states})
    return {
        "words": words_for("translation", "translate"),
        "heads": list(HEADS),
        "found": found,
        "packed": packed(explore.translate()),
        "days": [[text, is_day(text)] for text in DAYS],
    }


def _as_in_the_page(seen) -> dict:
    return {
        "text": seen.text,
        "sourceTokens": seen.source_tokens,
        "targetTokens": seen.target_tokens,
        "tokenProbabilities": seen.token_probabilities,
        "crossAttention": _plain(seen.cross_attention),
        "probabilities": _plain(seen.probabilities),
        "vocabulary": seen.vocabulary,
    }


def _plain(value):
    if not isinstance(value, torch.Tensor):
        return value
    return {"shape": list(value.shape), "data": value.double().flatten().tolist()}


def _state(explorer: explore.Explorer, values: dict) -> dict:
    try:
        state = explorer.state(**values)
    except ValueError as error:
        return {"sentence": str(error), "arrays": None}
    arrays = {
        name: {"shape": list(value.shape), "data": value.double().flatten().tolist()}
        for name, value in state.arguments.items()
        if isinstance(value, torch.Tensor)
    }
    return {"sentence": state.sentence, "arrays": arrays}


def _wave() -> explore.Explorer:
    """Make an explorer of a smooth table, which is stored as steps down its columns."""

    def compute(speed: int) -> explore.State:
        angle = torch.arange(64.0)[:, None] * torch.linspace(0.01, 0.1 * speed, 16)
        return explore.State({"values": angle.sin()}, f"Speed {speed}.")

    slider = explore.Slider("speed", 1, low=1, high=3, stops=(1, 2, 3))
    return explore.Explorer("wave", compute, (slider,), "curves", height=3)


def lines() -> explore.Explorer:
    """Make an explorer of lines: a function, a control, the name of a drawing, and nothing else."""

    def compute(runs: int) -> explore.State:
        x = torch.tensor([16.0, 32, 64, 128, 256, 512])
        noise = 1 + 0.1 * torch.arange(float(runs))[:, None]
        series = {"linear": x * noise / 16, "square": (x / 16) ** 2 * noise}
        axes = {"xlabel": "length", "ylabel": "time", "log_x": True, "log_y": True}
        return explore.State({"x": x, "series": series, **axes}, f"{runs} runs.")

    slider = explore.Slider("runs", 3, low=1, high=5, stops=(1, 3, 5))
    return explore.Explorer("lines", compute, (slider,), "curves", height=3)
