"""The explorer of the flow: one text through all parts of the translator, state by state."""

from dataclasses import replace
from functools import cache, lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lesson_tf import translator
from lesson_tf.explore.controls import Slider, Text
from lesson_tf.explore.explorer import Explorer, Prediction, State
from lesson_tf.explore.words import words_for
from lesson_tf.figures.arguments import visible
from lesson_tf.residual_stream import recorded_stream, turns
from lesson_tf.transformer import TransformerConfig
from lesson_tf.translator import LONGEST_SOURCE, Translation, Translator

TEXTS = ("令和6年3月5日", "5 March 2024")
LIMIT = 8.0  # where the colours of the stream end: later states go beyond, the first ones do not
LEVELS = 63  # steps of colour from 0 to the limit in a page
WORDS = words_for("residual_flow", "flow")


class Stage(NamedTuple):
    """One part of the model: its stack, its layer (0 outside the layers), its kind, its place in the stack."""

    stack: str
    layer: int
    kind: str
    index: int


class Pass(NamedTuple):
    """What one text left behind in the model: the translation, and each stack's stream without its batch."""

    seen: Translation
    encoder: Tensor
    decoder: Tensor


def flow(text: str = TEXTS[0], stage: int = 1) -> Explorer:
    """Follow one text through the translator: shape, norms, turns and attention after each part.

    `stage` counts the parts in the order of the flow, from 0, the embedding, to the output. Raises
    `ValueError` for another stage, and for a text that the translator cannot read.

    >>> flow(stage=3)
    Explorer flow: text=令和6年3月5日, stage=3
    >>> flow().state(stage=5).arguments["title"]
    'encoder: last norm, the memory'
    """
    most = len(stages(_translator().model.config)) - 1
    controls = (
        Text("text", TEXTS[0], TEXTS, longest=LONGEST_SOURCE),
        Slider("stage", 1, low=0, high=most, stops=tuple(range(most + 1)), play=True),
    )
    explorer = Explorer("flow", _flow, controls, "residual_flow", height=5.25, engine="flow")
    return replace(explorer.at(text=text, stage=stage), prediction=_prediction(text))


def _prediction(text: str) -> Prediction:
    """Ask which of the first layer's two parts turns vectors more; the second is the next picture."""
    attention, forward = turns(pass_through(text).encoder[:3, None])[:, 0].mean(dim=-1).tolist()
    because = WORDS["because"].format(attention=f"{attention:.0f}", forward=f"{forward:.0f}")
    right = WORDS["more" if forward > attention else "less"]
    choices = (WORDS["more"], WORDS["less"])
    return Prediction(WORDS["question"], choices, right, because, {"stage": 2})


@cache
def _translator() -> Translator:
    return translator.load()


def stages(config: TransformerConfig) -> list[Stage]:
    """List the parts of a model in the order of the flow.

    >>> [stage.kind for stage in stages(_translator().model.config)[:4]]
    ['embedding', 'self', 'forward', 'self']
    """
    encoder = _stack("encoder", config.encoder_layers, ("self", "forward"))
    decoder = _stack("decoder", config.decoder_layers, ("self", "cross", "forward"))
    return [*encoder, *decoder, Stage("decoder", 0, "output", len(decoder))]


def _stack(name: str, layers: int, kinds: tuple[str, ...]) -> list[Stage]:
    parts = [(layer + 1, kind) for layer in range(layers) for kind in kinds]
    parts = [(0, "embedding"), *parts, (0, "norm")]
    return [Stage(name, layer, kind, index) for index, (layer, kind) in enumerate(parts)]


@lru_cache(maxsize=16)
def pass_through(text: str) -> Pass:
    """Translate a text and keep both streams of the pass over what was written.

    Raises `ValueError`, in a sentence, for a text that the translator cannot read.
    """
    reader = _translator()
    with torch.no_grad(), recorded_stream(reader.model) as record:
        seen = reader.translate(text)
        return Pass(seen, record.encoder[:, 0], record.decoder[:, 0])


def _flow(text: str, stage: int) -> State:
    found = pass_through(text)
    config = _translator().model.config
    part = stages(config)[stage]
    arguments = {
        "place": stage,
        "layers": (config.encoder_layers, config.decoder_layers),
        "title": _title(part),
        **(_output(found) if part.kind == "output" else _vectors(found, part)),
    }
    # A page keeps the room that the largest part needs, and shows the stream as colours alone.
    page: dict[str, Any] = {"room": max(len(found.seen.source_tokens), len(_read_so_far(found)))}
    if "stream" in arguments:
        shares = (arguments["stream"] / LIMIT).clamp(-1, 1)
        page |= {"stream": (shares * LEVELS).round() / 1000, "limit": LEVELS / 1000}
        page |= {"ends": f"{LIMIT:g}"}
    return State(arguments, _sentence(found, part, arguments), page)


def _title(part: Stage) -> str:
    kind = part.kind
    if part.stack == "decoder" and kind == "self":
        kind = "masked"
    if part.stack == "encoder" and kind == "norm":
        kind = "memory"
    return WORDS[f"title_{kind}"].format(stack=WORDS[part.stack], layer=part.layer)


def _read_so_far(found: Pass) -> list[str]:
    """Name what the decoder read at each step: the sign of the beginning, then what it had written."""
    return ["<bos>", *found.seen.target_tokens[:-1]]


def _vectors(found: Pass, part: Stage) -> dict[str, Any]:
    stream = found.encoder if part.stack == "encoder" else found.decoder
    own = found.seen.source_tokens if part.stack == "encoder" else _read_so_far(found)
    state = stream[part.index]
    arguments = {
        "tokens": own,
        "shape": WORDS["shape"].format(rows=len(state), columns=state.shape[1]),
        "stream": state,
        "limit": LIMIT,
        "norms": state.norm(dim=-1),
    }
    if part.index:
        arguments["turns"] = turns(stream[:, None])[part.index - 1, 0]
    weights = _weights(found.seen, part)
    if weights is None:
        return arguments | {"note": WORDS["alone"]}
    keys = found.seen.source_tokens if part.kind == "cross" else own
    causal = part.stack == "decoder" and part.kind == "self"
    return arguments | {"weights": weights, "keys": keys, "causal": causal}


def _weights(seen: Translation, part: Stage) -> Tensor | None:
    """Give the attention weights of a part, the mean of its heads, or nothing where there are none."""
    kinds = {
        ("encoder", "self"): seen.encoder_attention,
        ("decoder", "self"): seen.decoder_attention,
        ("decoder", "cross"): seen.cross_attention,
    }
    weights = kinds.get((part.stack, part.kind))
    return None if weights is None else weights[part.layer - 1].mean(dim=0)


def _output(found: Pass) -> dict[str, Any]:
    probabilities = found.seen.probabilities
    rows, columns = probabilities.shape
    return {
        "tokens": _read_so_far(found),
        "shape": WORDS["shape_output"].format(rows=rows, columns=columns),
        "probabilities": probabilities,
        "vocabulary": found.seen.vocabulary,
        "written": found.seen.target_tokens,
        "note": WORDS["chosen"],
    }


def _sentence(found: Pass, part: Stage, arguments: dict[str, Any]) -> str:
    tokens = arguments["tokens"]
    if part.kind == "output":
        chances = torch.tensor(found.seen.token_probabilities)
        least = int(chances.argmin())
        return WORDS["said_output"].format(
            text=found.seen.text or WORDS["nothing"],
            token=_named(tokens, least),
            written=visible(found.seen.target_tokens[least]),
            chance=f"{chances[least]:.2f}",
        )
    norms = arguments["norms"]
    if part.kind == "embedding":
        longest = int(norms.argmax())
        return WORDS["said_embedding"].format(
            token=_named(tokens, longest), norm=f"{norms[longest]:.1f}"
        )
    stream = found.encoder if part.stack == "encoder" else found.decoder
    before = stream[part.index - 1].norm(dim=-1)
    if part.kind == "norm":
        ends = {"before": before.min(), "before_most": before.max()}
        ends |= {"after": norms.min(), "after_most": norms.max()}
        template = WORDS["said_memory" if part.stack == "encoder" else "said_norm"]
        return template.format(**{name: f"{value:.1f}" for name, value in ends.items()})
    return _most_turned(part, arguments, before)


def _most_turned(part: Stage, arguments: dict[str, Any], before: Tensor) -> str:
    """Say which vector a sub-layer turned most, and what it read there."""
    most = int(arguments["turns"].argmax())
    values = {
        "token": _named(arguments["tokens"], most),
        "turn": f"{arguments['turns'][most]:.0f}",
        "before": f"{before[most]:.1f}",
        "after": f"{arguments['norms'][most]:.1f}",
    }
    if "weights" in arguments:
        row = arguments["weights"][most]
        key = int(row.argmax())
        values |= {"key": _named(arguments["keys"], key), "weight": f"{row[key]:.2f}"}
    kind = "masked" if arguments.get("causal") else part.kind
    return WORDS[f"said_{kind}"].format(**values)


def _named(tokens: list[str], place: int) -> str:
    """Name a token, with its place where the text has it more than once."""
    token = visible(tokens[place])
    if tokens.count(tokens[place]) == 1:
        return token
    return WORDS["named"].format(token=token, place=place + 1)
