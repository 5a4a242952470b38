"""What the explorer of the flow says in Python, for the test of its engine in the page."""

import torch

from lesson_tf import explore
from lesson_tf.explore.flow import LIMIT, pass_through
from lesson_tf.explore.words import words_for
from lesson_tf.residual_stream import turns

TEXTS = ("5 March 2024", "2", "昭和", "10000 BC", "no" * 32, "Tuesday, March 5th, 2024")


def flow() -> dict:
    """Give passes as the page's model gives them, beside the states that Python makes of them."""
    explorer = explore.flow()
    stages = range(len(explorer.controls[1].stops))
    found = []
    for text in TEXTS:
        states = [explorer.state(text=text, stage=stage) for stage in stages]
        found.append(
            {
                "seen": _as_in_the_page(text),
                "states": [
                    {
                        "sentence": state.sentence,
                        "room": state.page["room"],
                        "arguments": {n: _plain(value) for n, value in state.arguments.items()},
                    }
                    for state in states
                ],
            }
        )
    return {
        "words": words_for("residual_flow", "flow"),
        "layers": [2, 2],
        "ends": f"{LIMIT:g}",
        "found": found,
    }


def _as_in_the_page(text: str) -> dict:
    seen, encoder, decoder = pass_through(text)
    return {
        "text": seen.text,
        "sourceTokens": seen.source_tokens,
        "targetTokens": seen.target_tokens,
        "tokenProbabilities": seen.token_probabilities,
        "probabilities": _plain(seen.probabilities),
        "vocabulary": seen.vocabulary,
        "encoderAttention": _plain(seen.encoder_attention),
        "decoderAttention": _plain(seen.decoder_attention),
        "crossAttention": _plain(seen.cross_attention),
        "encoderStates": _states(encoder),
        "decoderStates": _states(decoder),
    }


def _states(stream: torch.Tensor) -> dict:
    return {
        "states": [_plain(state) for state in stream],
        "norms": _plain(stream.norm(dim=-1)),
        "turns": _plain(turns(stream[:, None])[:, 0]),
    }


def _plain(value):
    if isinstance(value, tuple):
        return list(value)
    if not isinstance(value, torch.Tensor):
        return value
    return {"shape": list(value.shape), "data": value.double().flatten().tolist()}
