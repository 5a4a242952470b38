"""The trained models as files that a web page runs: ONNX graphs of the teaching classes, and json beside them.

A graph is what a class or function of this package computed while torch looked on, so no formula stands here.
Batches B and lengths T (of a target) and S (of a source) are free. The bytes of a file depend on the weights
and on the versions of torch and onnxscript alone.

onnx and onnxscript are imported by the first export, not with this module.
"""

import argparse
import copy
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lesson_tf import language_model, translator
from lesson_tf.attention import MultiHeadAttention, _describe, causal_mask
from lesson_tf.dates import ALIKE, QUOTES
from lesson_tf.decoding import next_token_probabilities
from lesson_tf.language_model import LONGEST_CONTEXT, Writer
from lesson_tf.model_files import as_path
from lesson_tf.residual_stream import stream_parts, turns
from lesson_tf.transformer import LanguageModel, Transformer
from lesson_tf.translator import LONGEST_SOURCE, LONGEST_TARGET, Translator


class EncoderGraph(nn.Module):
    """The encoder of a Transformer: source ids in; memory, attention of all layers and residual stream out.

    Norms and turns are those of the stream and of the memory, its last state.
    """

    def __init__(self, model: Transformer):
        super().__init__()
        self.model = _with_masks_as_biases(model)
        self.states = _kept_states(stream_parts(self.model)[0])

    def forward(self, source_ids: Tensor) -> tuple[Tensor, ...]:
        """Return memory `(B, S, d_model)`, weights `(layers, B, h, S, S)`, stream `(2 layers + 1, B, S, d_model)`.

        Then norms `(2 layers + 2, B, S)` and turns `(2 layers + 1, B, S)`.
        """
        self.states.clear()
        record = []
        memory = self.model.encode(source_ids, record)
        states = torch.stack(self.states)
        return memory, torch.stack(record), states[:-1], states.norm(dim=-1), turns(states)


class DecoderGraph(nn.Module):
    """The decoder of a Transformer: target ids and memory in; log probabilities and attention of all layers out.

    So are the residual stream, its vectors after the last norm, and the norms and turns of all of them.
    """

    def __init__(self, model: Transformer):
        super().__init__()
        self.model = _with_masks_as_biases(model)
        self.states = _kept_states(stream_parts(self.model)[1])

    def forward(self, target_ids: Tensor, memory: Tensor) -> tuple[Tensor, ...]:
        """Return log p `(B, T, vocab)` in float64, as beam search adds them, and both kinds of weights.

        Then stream `(3 layers + 1, B, T, d_model)`, last `(B, T, d_model)`, norms and turns.
        """
        self.states.clear()
        record = []
        logits = self.model.decode(target_ids, memory, record=record)
        log_probabilities = logits.double().log_softmax(-1)
        weights = torch.stack(record[0::2]), torch.stack(record[1::2])
        states = torch.stack(self.states)
        stream = states[:-1], states[-1], states.norm(dim=-1), turns(states)
        return log_probabilities, *weights, *stream


class LanguageModelGraph(nn.Module):
    """A language model: the tokens so far in, scores for the next one out."""

    def __init__(self, model: LanguageModel):
        super().__init__()
        self.model = copy.deepcopy(model)
        # Only the last position is asked for, so only it is multiplied by the large output matrix.
        self.model.output.register_forward_pre_hook(lambda _, inputs: inputs[0][:, -1:])

    def forward(self, token_ids: Tensor) -> Tensor:
        """Return logits `(B, vocab)`."""
        return self.model(token_ids)[:, -1]


class NextTokenGraph(nn.Module):
    """`next_token_probabilities`, with everything that shapes the distribution as an input."""

    def forward(self, logits: Tensor, temperature: Tensor, top_k: Tensor, top_p: Tensor) -> Tensor:
        """Return probabilities `(B, vocab)`; each of the other inputs is one number."""
        return next_token_probabilities(logits, temperature, top_k, top_p)


class AttentionGraph(nn.Module):
    """`MultiHeadAttention` with its weights as inputs, so that one graph serves every d_model and heads."""

    def __init__(self):
        super().__init__()
        self.attention = _with_masks_as_biases(MultiHeadAttention(d_model=2, heads=1))

    def forward(
        self,
        x: Tensor,
        w_q: Tensor,
        w_k: Tensor,
        w_v: Tensor,
        b_q: Tensor,
        b_k: Tensor,
        b_v: Tensor,
        w_o: Tensor,
        b_o: Tensor,
        causal: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return output `(T, d_model)` and weights `(h, T, T)`; matrices are `(h, d_k, d_model)`."""
        attention = self.attention
        attention.heads, attention.d_model = w_q.shape[0], x.shape[-1]
        weights = {"w_o.weight": w_o, "w_o.bias": b_o}
        for name, matrix, bias in (("w_q", w_q, b_q), ("w_k", w_k, b_k), ("w_v", w_v, b_v)):
            weights |= {f"{name}.weight": matrix.flatten(0, 1), f"{name}.bias": bias.flatten()}
        mask = causal_mask(x.shape[0]) | (causal == 0)
        arguments = {"mask": mask, "need_weights": True}
        return functional_call(attention, weights, (x,), arguments)


def export_all(folder: str | Path) -> list[Path]:
    """Write every graph of the models that ship, and the json files, into a folder; return their paths.

    Raises ValueError where the folder is none.
    """
    folder = as_path("folder", folder)
    folder.mkdir(parents=True, exist_ok=True)
    reader, writer = translator.load(), language_model.load()
    return [
        export_encoder(reader.model, folder / "translator_encoder.onnx"),
        export_decoder(reader.model, folder / "translator_decoder.onnx"),
        export_language_model(writer.model, folder / "language_model.onnx"),
        export_next_token(folder / "next_token.onnx"),
        export_attention(folder / "attention.onnx"),
        _write_json(folder / "translator.json", translator_data(reader)),
        _write_json(folder / "language_model.json", language_model_data(writer)),
    ]


def export_encoder(model: Transformer, path: str | Path) -> Path:
    """Write the encoder: `source_ids` in; `memory`, `encoder_attention`, `stream`, `norms` and `turns` out.

    Raises ValueError for another model, and where the path is none.
    """
    _check_model(model, Transformer)
    return _write_graph(
        path,
        EncoderGraph(model),
        {"source_ids": (_ids(3, 7), ("batch", "source"))},
        ["memory", "encoder_attention", "stream", "norms", "turns"],
    )


def export_decoder(model: Transformer, path: str | Path) -> Path:
    """Write the decoder: `target_ids`, `memory` in; `log_probabilities`, `decoder_attention`, `cross_attention` out.

    So come `stream`, `last`, `norms` and `turns`. It does not learn which tokens of the source are padding, so the sources of a batch have one length.

    Raises ValueError for another model, and where the path is none.
    """
    _check_model(model, Transformer)
    memory = torch.zeros(3, 7, model.config.d_model)
    return _write_graph(
        path,
        DecoderGraph(model),
        {
            "target_ids": (_ids(3, 5), ("batch", "target")),
            "memory": (memory, ("batch", "source")),
        },
        [
            *("log_probabilities", "decoder_attention", "cross_attention"),
            *("stream", "last", "norms", "turns"),
        ],
    )


def export_language_model(model: LanguageModel, path: str | Path) -> Path:
    """Write a language model: `token_ids` in, `logits` of the last position out.

    Weights that float16 holds exactly are stored in it, as they ship, and the graph turns them into float32.

    Raises ValueError for another model, and where the path is none.
    """
    _check_model(model, LanguageModel)
    return _write_graph(
        path,
        LanguageModelGraph(model),
        {"token_ids": (_ids(3, 7), ("batch", "length"))},
        ["logits"],
        halve=True,
    )


def export_next_token(path: str | Path) -> Path:
    """Write `next_token_probabilities`: `logits`, `temperature`, `top_k` and `top_p` in, `probabilities` out.

    A top_k of the vocabulary's size or more and a top_p of 1 cut nothing off. Raises ValueError where the path is none.
    """
    return _write_graph(
        path,
        NextTokenGraph(),
        {
            "logits": (torch.zeros(3, 9), ("batch", "vocabulary")),
            "temperature": (torch.tensor(1.0), ()),
            "top_k": (torch.tensor(5), ()),
            "top_p": (torch.tensor(0.9), ()),
        },
        ["probabilities"],
    )


def export_attention(path: str | Path) -> Path:
    """Write multi-head attention with weights as inputs and `causal` as 0 or 1; `output` and `weights` out.

    The matrices `w_q`, `w_k` and `w_v` are cut into heads, `(h, d_k, d_model)`, their biases `(h, d_k)`; x is
    `(T, d_model)`. Raises ValueError where the path is none.
    """
    sizes = {"length": 5, "heads": 3, "d_k": 4, "d_model": 12}
    axes = {
        "x": ("length", "d_model"),
        **dict.fromkeys(("w_q", "w_k", "w_v"), ("heads", "d_k", "d_model")),
        **dict.fromkeys(("b_q", "b_k", "b_v"), ("heads", "d_k")),
        "w_o": ("d_model", "d_model"),
        "b_o": ("d_model",),
    }
    # Each a tensor of its own: torch would take one tensor that is given twice for one input.
    inputs = {name: (torch.zeros([sizes[axis] for axis in of]), of) for name, of in axes.items()}
    inputs["causal"] = (torch.tensor(1, dtype=torch.int32), ())
    return _write_graph(path, AttentionGraph(), inputs, ["output", "weights"])


def translator_data(reader: Translator) -> dict:
    """Collect what a page needs to read a date and name what the translator wrote.

    >>> translator_data(translator.load())["eos_id"]
    3
    """
    config, target = reader.model.config, reader.target_tokenizer
    return {
        "source_tokens": reader.source_tokenizer.tokens,
        "target_tokens": target.tokens,
        "alike": ALIKE,
        "quotes": QUOTES,
        "longest_source": LONGEST_SOURCE,
        "longest_target": LONGEST_TARGET,
        "bos_id": target.bos_id,
        "eos_id": target.eos_id,
        "heads": config.heads,
        "layers": config.decoder_layers,
        "words": {
            "nothing": translator.NOTHING_TO_READ,
            "too_long": translator.TOO_LONG,
            "unknown": translator.UNKNOWN_CHARACTERS,
        },
    }


def language_model_data(writer: Writer) -> dict:
    """Collect what a page needs to cut a prompt into tokens and name the next one.

    >>> len(language_model_data(language_model.load())["tokens"])
    1024
    """
    return {
        "tokens": writer.tokenizer.tokens,
        "merges": writer.tokenizer.merges,
        "end_id": writer.end_id,
        "longest_context": LONGEST_CONTEXT,
    }


def _kept_states(parts: list[nn.Module]) -> list[Tensor]:
    """Make a list to which each part adds what it gives out whenever it runs."""
    states: list[Tensor] = []
    for part in parts:
        part.register_forward_hook(lambda _, inputs, x: states.append(x))
    return states


def _with_masks_as_biases(model: nn.Module) -> nn.Module:
    """Copy a model, and let its attention add 0 or -inf to the scores where it would take a mask.

    The weights are the same, unless a mask leaves a query no key. With a mask, attention looks for such
    queries before it goes on, and a graph cannot choose its way by numbers.
    """

    def replace(_, inputs, arguments):
        mask = arguments.pop("mask", None)
        if mask is not None:
            arguments["bias"] = torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)
        return inputs, arguments

    model = copy.deepcopy(model)
    for part in model.modules():
        if isinstance(part, MultiHeadAttention):
            part.register_forward_pre_hook(replace, with_kwargs=True)
    return model


def _check_model(model, kind: type) -> None:
    if not isinstance(model, kind):
        raise ValueError(
            f"model={_describe(type(model).__name__)} has no such graph; give a {kind.__name__}"
        )


def _ids(*shape: int) -> Tensor:
    """Make token ids to trace with; int32, since JavaScript counts in no int64."""
    return torch.ones(shape, dtype=torch.int32)


def _write_graph(path, graph: nn.Module, inputs: dict, outputs: list[str], halve=False) -> Path:
    """Run a module once and write what it computed as one file; `inputs` are examples and their axes' names.

    Sizes of the examples are above 1, since torch takes a size of 1 for one that never changes.
    """
    path = as_path("path", path)
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            graph.eval(),
            tuple(example for example, _ in inputs.values()),
            dynamo=True,
            dynamic_shapes=[dict(enumerate(axes)) for _, axes in inputs.values()],
            input_names=list(inputs),
            output_names=outputs,
            custom_translation_table={torch.ops.aten.sort.stable: _stable_sort},
            verbose=False,
        )
    _leave_out_traces(program.model)
    if halve:
        _store_in_float16(program.model)
    program.save(path, include_initializers=True)
    return path


def _leave_out_traces(model: "onnxscript.ir.Model") -> None:
    """Remove the notes on where in our source each node came from: a quarter of a file, with our folders' names."""
    for node in model.graph:
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()
    for value in (*model.graph.inputs, *model.graph.initializers.values()):
        value.metadata_props.clear()


def _store_in_float16(model: "onnxscript.ir.Model") -> None:
    """Store in float16 every weight that loses nothing by it, and cast it where the graph begins."""
    from onnxscript import ir

    graph = model.graph
    first = graph[0]
    for value in list(graph.initializers.values()):
        array = value.const_value.numpy()
        if array.dtype != "float32" or array.size == 1:
            continue
        half = array.astype("float16")
        if (half != array).any():
            continue
        name = f"{value.name} in float16"
        stored = ir.Value(name=name, const_value=ir.tensor(half, name=name))
        cast = ir.node("Cast", [stored], {"to": ir.DataType.FLOAT})
        value.replace_all_uses_with(cast.outputs[0])
        del graph.initializers[value.name]
        cast.outputs[0].name = value.name
        graph.register_initializer(stored)
        graph.insert_before(first, cast)


def _stable_sort(x, stable=True, dim=-1, descending=False):
    """Sort in ONNX, which torch's exporter does not know; of equal entries, TopK puts the first one first."""
    from onnxscript import opset20 as op

    return op.TopK(x, op.Shape(x, start=-1), axis=dim, largest=int(descending), sorted=1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's notes for its own developers from the reader of a build."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _write_json(path: Path, data: dict) -> Path:
    path.write_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Write all files into the folder that is named, and print their sizes."""
    parser = argparse.ArgumentParser(prog="python -m lesson_tf.export", description=__doc__)
    parser.add_argument("folder", type=Path)
    for path in export_all(parser.parse_args(arguments).folder):
        print(f"{path.name:24} {path.stat().st_size:>9,} bytes")


if __name__ == "__main__":
    main()
