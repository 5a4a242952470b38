"""What Python makes of prompts and texts, for the tests of the explorers next_token and merges."""

import torch

from lesson_tf import explore, language_model
from lesson_tf.decoding import next_token_probabilities
from lesson_tf.explore.byte_pairs import readable
from lesson_tf.explore.words import words_for
from lesson_tf.export import language_model_data

PROMPTS = ("Returns the sum of all elements", "", "x = torch.zeros(3, 4)\n", "今日は", "The " * 60)
SHAPINGS = ((1.0, 1024, 1.0), (0.5, 1024, 0.9), (2.0, 50, 0.95), (1.4, 1, 0.8), (0.25, 1024, 1.0))
TEXTS = (
    "Returns the sum of all elements",
    "a",
    "é",
    " \n\t  x",
    "今日は",
    "😀👍🏽",
    "$5 <b> {token} \u202e\x00\u200b",
    "dimensional equivalent operations, broadcasting",
)
COUNTS = (0, 1, 2, 31, 128, 500, 767)


@torch.no_grad()
def next_token() -> dict:
    """Give distributions as the page's models give them, beside the states that Python makes of them."""
    explorer, writer, cases = explore.next_token(), language_model.load(), []
    for prompt in PROMPTS:
        logits = writer.model(torch.tensor([writer.read(prompt)]))[0, -1]
        raw = next_token_probabilities(logits)
        for temperature, top_k, top_p in SHAPINGS:
            shaped = next_token_probabilities(logits, temperature, top_k, top_p)
            values = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
            state = explorer.state(prompt=prompt, **values)
            arrays = {name: state.arguments[name].tolist() for name in ("before", "after")}
            cases.append(
                {
                    "prompt": prompt,
                    "values": values,
                    "raw": raw.tolist(),
                    "probabilities": shaped.tolist(),
                    "sentence": state.sentence,
                    "arguments": state.arguments | arrays,
                }
            )
    names = [writer.name(token_id) for token_id in range(len(writer.tokenizer))]
    words = words_for("next_token_shaping", "next_token")
    return {"cases": cases, "names": names, "words": words, "longest": explorer.controls[0].longest}


def merges() -> dict:
    """Give texts after several numbers of merges, as Python shows them."""
    explorer, writer = explore.merges(), language_model.load()
    cases = []
    for text in TEXTS:
        for count in COUNTS:
            state = explorer.state(text=text, merges=count)
            arguments = state.arguments | state.page
            case = {"text": text, "merges": count, "sentence": state.sentence}
            cases.append(case | {"arguments": arguments})
    return {
        "data": language_model_data(writer),
        "labels": [readable(token) for token in writer.tokenizer.tokens[1:]],
        "cases": cases,
        "words": words_for("token_chips", "merges"),
    }
