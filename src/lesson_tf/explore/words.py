"""Every word that an explorer shows in a page, as templates; the scripts hold none of their own.

Names in braces are filled in: `"{query} reads {key}"`.
"""

COMMON = {
    "explorer": "Explorer {name}",
    "picture": "Picture with cells; the arrow keys move through them",
    "reset": "Reset",
    "numbers": "The numbers as a table",
    "skip": "Skip",
    "right": "Yes: {choice}. {because}",
    "wrong": "You said {said}; it is {choice}. {because}",
    "skipped": "{choice}. {because}",
    "value": "{name} = {value}",
    "offers": "Valid instead:",
    "play": "Play {name}",
    "pause": "Pause {name}",
    "own": "Own text",
    "too_long": "{name} has {count} characters; give at most {most}",
    "half": "{character} is half a character and no text: remove it.",
    "loading": "Loading the model, {percent} % …",
    "working": "The model is reading …",
    "failed": "The model cannot be loaded here. The texts above the field still work.",
    "from_disk": (
        "A page opened from a disk cannot load the model; open the book from a web server "
        "(make serve). The texts above the field still work."
    ),
}

DRAWINGS: dict[str, dict[str, str]] = {
    "head_heatmaps": {
        "cell": "{panel}: {query} reads {key} with weight {weight}.",
        "hidden": "{panel}: the mask hides {key} from {query}.",
        "head": "head {number}",
        "queries": "queries",
        "keys": "keys",
        "query": "query",
        "weight": "attention weight",
    },
    "residual_flow": {
        "row": "{token}: norm {norm}, turned by {turn}°.",
        "row_first": "{token}: norm {norm}.",
        "row_output": "After {token} comes {written} with probability {chance}.",
        "cell": "{query} reads {key} with weight {weight}.",
        "hidden": "The mask hides {key} from {query}.",
        "encoder": "encoder",
        "decoder": "decoder",
        "layer": "layer {number}",
        "embedding": "embedding",
        "embedding_short": "emb",
        "self": "self",
        "cross": "cross",
        "forward": "ff",
        "norm": "norm",
        "output": "output",
        "output_short": "out",
        "memory": "memory",
        "vectors": "vectors",
        "length": "norm",
        "turned": "turned",
        "written": "written",
        "share": "probability",
        "probabilities": "probabilities",
        "weights": "attention, mean of heads",
        "token": "token",
        "query": "query",
    },
    "curves": {
        "cell": "{line}: {value} at {x}.",
        "lowest": "lowest",
        "highest": "highest",
    },
    "bar_panels": {
        "cell": "{panel}: {name}, {value}.",
    },
    "wave_views": {
        "cell": "Position {position}: cosine {value} with position 0.",
        "position": "position",
        "dimension": "dimension",
        "dim": "dim {number}",
        "wavelength": "λ = {value}",
        "cosine": "cosine with position 0",
        "question": "At d_model = 64, which position is nearer to position 0: 50 or 100?",
        "because": "The cosine is {near} at 50 and {far} at 100: nearness does not only fall.",
    },
    "token_chips": {
        "byte": "{token}: id {id}, byte {bytes}.",
        "merged": "{token}: id {id}, bytes {bytes}; merge {merge} joined {left} and {right}.",
        "caption": "Tokens",
        "token": "token",
        "id": "id",
        "in_bytes": "bytes",
        "by": "made by merge",
    },
    "next_token_shaping": {
        "cell": "{token}: {before} % before, {after} % after.",
        "cell_cut": "{token}: {before} % before; cut, so it is never drawn.",
        "cell_others": "{token}: {before} % before, {after} % after; {kept} of them remain.",
        "others": "{count} others",
        "percent": "{value} %",
        "cut": "cut",
        "caption": "Probabilities of the next token",
        "token": "next token",
        "before": "before",
        "after": "after",
    },
    "translation": {
        "cell": "{token} reads {source} with weight {weight}; {token} has probability {chance}.",
        "source": "source",
        "written": "written",
        "expected": "step {step}: probabilities",
        "chances": "probability of each token, step by step",
        "others": "others",
        "less": "< 0.1 %",
        "percent": "{number} %",
    },
}

ENGINES: dict[str, dict[str, str]] = {
    "distance": {
        "mean": "mean of five seeds",
        "worst": "worst of five seeds",
        "share": "share of right answers",
        "title": "Recall across {gap} tokens",
        "sentence": (
            "Across {gap} tokens, before training: the gradient that reaches the first token is "
            "{lstm} in the LSTM and {transformer} in the Transformer without positions."
        ),
        "question": "All were trained at gaps up to 127. At {gap}, which recalls more?",
        "because": "At {gap} the LSTM is right with {lstm}, the rotary Transformer with {rotary}.",
    },
    "flow": {
        "title_embedding": "{stack}: embedding + position",
        "title_self": "encoder {layer}: self-attention",
        "title_masked": "decoder {layer}: masked self-attention",
        "title_cross": "decoder {layer}: cross-attention",
        "title_forward": "{stack} {layer}: feed-forward",
        "title_memory": "encoder: last norm, the memory",
        "title_norm": "decoder: last norm",
        "title_output": "decoder: output",
        "shape": "{rows} × {columns}: tokens × numbers",
        "shape_output": "{rows} × {columns}: tokens × vocabulary",
        "alone": "No token reads another here.",
        "chosen": "The largest is written.",
        "named": "{token} (place {place})",
        "nothing": "nothing",
        "said_embedding": (
            "Each id picks its row of a table, and its position is added. The longest vector is that "
            "of {token}, with norm {norm}."
        ),
        "said_self": (
            "The tokens read one another. {token} turns most, by {turn}°, and its norm goes from "
            "{before} to {after}; it reads {key} most, with weight {weight}."
        ),
        "said_masked": (
            "Each token reads itself and what was written before. {token} turns most, by {turn}°; "
            "it reads {key} most, with weight {weight}."
        ),
        "said_cross": (
            "What was written reads the memory. {token} turns most, by {turn}°, and its norm goes "
            "from {before} to {after}; it reads {key} most, with weight {weight}."
        ),
        "said_forward": (
            "Each token passes alone through the same two matrices. {token} turns most, by {turn}°, "
            "and its norm goes from {before} to {after}."
        ),
        "said_memory": (
            "Norms between {before} and {before_most} become norms between {after} and {after_most}. "
            "These vectors are the memory, all that the decoder reads of the text."
        ),
        "said_norm": (
            "Norms between {before} and {before_most} become norms between {after} and {after_most}. "
            "The output compares these vectors with its row for each token."
        ),
        "said_output": (
            "The most probable tokens give {text}. Least sure is the step after {token}: it writes "
            "{written} with probability {chance}."
        ),
        "question": (
            "Self-attention turned the vectors of layer 1. Will feed-forward, which comes next, turn "
            "them more or less on average?"
        ),
        "more": "more",
        "less": "less",
        "because": (
            "Self-attention turns a vector of this text by {attention}° on average, feed-forward by "
            "{forward}°."
        ),
    },
    "heads": {
        "shipped": (
            "{parameters} parameters, d_k = {d_k}; {share} % of held-out dates right. Strongest, "
            "in head {head}: {query} reads {key} with weight {weight}."
        ),
        "own": (
            "Your text, read by the translator that ships. Strongest, in head {head}: {query} "
            "reads {key} with weight {weight}."
        ),
        "translator_only": (
            "A text of your own is read by the translator that ships: d_model = 64 and heads = 4."
        ),
        "question": "From 4 heads to 8 at the same width, what becomes of the parameters?",
        "fewer": "fewer",
        "same": "the same number",
        "more": "more",
        "because": "{few} with 4 heads, {many} with 8: more heads split the same width.",
    },
    "merges": {
        "bytes_alone": (
            "With 0 of {all} merges each byte is a token: {tokens} from {bytes}, {ratio} characters "
            "a token."
        ),
        "unjoined": (
            "With {merges} of {all} merges: {tokens} from {bytes}, {ratio} characters a token. "
            "No pair in this text is joined."
        ),
        "joined": (
            "With {merges} of {all} merges: {tokens} from {bytes}, {ratio} characters a token. "
            "The last to join anything here was merge {last}: {left} and {right}."
        ),
        "one_token": "1 token",
        "many_tokens": "{count} tokens",
        "one_byte": "1 byte",
        "many_bytes": "{count} bytes",
        "nothing": "There is nothing to cut yet: type a text.",
    },
    "next_token": {
        "plain": (
            "All {vocabulary} tokens remain, as the model gave them. First is {token} with "
            "{after} %; the entropy is {entropy_after} nats."
        ),
        "shaped": (
            "{kept} of {vocabulary} tokens remain. The first, {token}, goes from {before} to "
            "{after} %, the entropy from {entropy_before} to {entropy_after} nats."
        ),
        "one": (
            "Only {token} remains, as in greedy decoding: from {before} to {after} %. The entropy "
            "goes from {entropy_before} to {entropy_after} nats."
        ),
        "question": "Top-p 0.5 keeps {now} tokens here. How many does it keep at temperature 2?",
        "fewer": "fewer",
        "same": "the same {now}",
        "more": "more",
        "because": (
            "The temperature comes first: it spreads the probability, so {hotter} tokens are needed "
            "to reach one half."
        ),
    },
    "translate": {
        "step": (
            "Step {step} writes {token} with probability {chance} and reads {source} most, "
            "with weight {weight}."
        ),
        "stop": (
            "Step {step} ends the text with probability {chance} and reads {source} most, "
            "with weight {weight}."
        ),
        "whole": "{step} Written ({decoding}): {text}, probability {whole}.",
        "no_day": "{step} Written ({decoding}): {text}, probability {whole}. That is no day of any calendar.",
        "mean": "cross-attention, mean of heads",
        "head": "cross-attention, head {head}",
        "end": "end",
        "little": "below 0.01",
        "nothing": "nothing",
        "question": "令和 has no year 0. What does the model write for 令和0年1月1日?",
        "refuses": "nothing",
        "because": (
            "It answers whatever it is given. The third character is {first} with probability "
            "{likely}, {second} with {less_likely}."
        ),
    },
}


def words_for(drawing: str, engine: str) -> dict[str, str]:
    """Give the templates that one explorer needs.

    >>> words_for("bar_panels", "")["cell"]
    '{panel}: {name}, {value}.'
    """
    return COMMON | DRAWINGS.get(drawing, {}) | ENGINES.get(engine, {})
