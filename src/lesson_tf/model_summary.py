"""A model's parts in the order in which numbers pass through them: shapes and parameters, read from the model.

Nothing is computed from a formula: shapes come from one forward pass, parameters are counted in the modules.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from lesson_tf.attention import MultiHeadAttention, _check_size, _describe
from lesson_tf.transformer import Embedding, FeedForward, LanguageModel, Residual, Transformer

LONGEST = 4096  # tokens in the forward pass; more would only cost time, for shapes alone


@dataclass(frozen=True)
class PartSummary:
    """One part of a model: its name, where it stands, the shapes in and out, and its parameters.

    `parameters` counts what no earlier part has counted; `tied_to` names the part that counted a shared
    matrix. `repeats` is the number of layers that hold such a part, where `fold_layers` has joined them.

    >>> PartSummary("feed-forward", "layers.*.feed_forward", (1, 5, 8), (1, 5, 8), 552, repeats=2)
    PartSummary(name='feed-forward', path='layers.*.feed_forward', input_shape=(1, 5, 8), output_shape=(1, 5, 8), parameters=552, tied_to=None, repeats=2)
    """

    name: str
    path: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: int
    tied_to: str | None = None
    repeats: int = 1


def summarize(
    model: nn.Module, source_length: int = 12, target_length: int = 10, batch: int = 1
) -> list[PartSummary]:
    """List the parts of a Transformer or LanguageModel in the order of one forward pass.

    The pass reads `batch` sources of `source_length` tokens and as many targets of `target_length`; a
    LanguageModel reads the targets alone. The model is left as it was. The `parameters` of all parts add up
    to the model's, a shared matrix being counted where it is used first.

    Raises ValueError where the model is neither of the two, a length is not positive or too long for the
    model's learned positions, or the model holds parameters outside the parts known here.

    >>> from lesson_tf.transformer import TransformerConfig
    >>> config = TransformerConfig(9, 9, d_model=8, heads=2, d_ff=32, decoder_layers=1)
    >>> for part in summarize(LanguageModel(config), target_length=5):
    ...     print(part.name, part.output_shape, part.parameters)
    embedding (1, 5, 8) 72
    sinusoidal positions (1, 5, 8) 0
    masked self-attention (1, 5, 8) 288
    add and norm (1, 5, 8) 16
    feed-forward (1, 5, 8) 552
    add and norm (1, 5, 8) 16
    final norm (1, 5, 8) 16
    output (1, 5, 9) 72
    """
    _check_model(model)
    for name, size in (("source_length", source_length), ("target_length", target_length)):
        _check_size(name, size, most=LONGEST)
    _check_size("batch", batch, most=LONGEST)
    lengths = [source_length, target_length] if isinstance(model, Transformer) else [target_length]
    parts = _count_once(_trace(model, batch, lengths))
    _check_complete(model, parts)
    return parts


def fold_layers(parts: Sequence[PartSummary]) -> list[PartSummary]:
    """Join the equal layers of each stack: every part once, with the number of layers in `repeats`.

    The path of a joined part has `*` in the place of the layer's number. Raises ValueError where the layers
    of one stack differ in shapes or parameters.

    >>> one = PartSummary("feed-forward", "layers.0.feed_forward", (1, 5, 8), (1, 5, 8), 552)
    >>> two = replace(one, path="layers.1.feed_forward")
    >>> [(part.path, part.repeats) for part in fold_layers([one, two])]
    [('layers.*.feed_forward', 2)]
    """
    if not isinstance(parts, list | tuple) or not all(isinstance(p, PartSummary) for p in parts):
        raise ValueError(f"parts={_describe(parts)} is no list of parts; give what summarize lists")
    folded: dict[str, PartSummary] = {}
    for part in parts:
        path = re.sub(r"(?<=layers\.)\d+", "*", part.path)
        known = folded.get(path)
        if known is None:
            folded[path] = replace(part, path=path)
            continue
        if replace(part, path=path, repeats=known.repeats) != known:
            raise ValueError(
                f"the layers differ: {part.path} has {part.parameters:,} parameters and gives {part.output_shape}, "
                f"another layer {known.parameters:,} and {known.output_shape}; list them with summarize instead"
            )
        folded[path] = replace(known, repeats=known.repeats + 1)
    return list(folded.values())


def _trace(
    model: nn.Module, batch: int, lengths: Sequence[int]
) -> list[tuple[PartSummary, list[nn.Parameter]]]:
    """Run the model once; list each part with its own parameters, in the order in which they finished."""
    traced: list[tuple[PartSummary, list[nn.Parameter]]] = []
    training = [(module, module.training) for module in model.modules()]
    hooks = [
        module.register_forward_hook(_note(name, path, traced), with_kwargs=True)
        for module, name, path in _parts(model)
    ]
    device = next(model.parameters()).device
    try:
        model.eval()  # dropout would draw random numbers, and the caller's next ones would change
        with torch.no_grad():
            model(
                *(torch.zeros(batch, length, dtype=torch.long, device=device) for length in lengths)
            )
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in training:
            module.training = mode
    return traced


def _note(name: str, path: str, traced: list) -> Callable:
    """Make the hook that notes one part's shapes."""

    def hook(module, inputs, named, output):
        first = inputs[0] if inputs else next(iter(named.values()))
        output = output[0] if isinstance(output, tuple) else output
        # Positions are added to vectors, though the module around them is given ids.
        entering = output if isinstance(module, Embedding) else first
        owner = module.get_submodule("positions") if path.endswith(".positions") else module
        own = [] if owner is module and isinstance(module, Embedding) else list(owner.parameters())
        part = PartSummary(name, path, tuple(entering.shape), tuple(output.shape), 0)
        traced.append((part, own))

    return hook


def _parts(model: nn.Module) -> list[tuple[nn.Module, str, str]]:
    """Name the modules of interest: (module, name, path)."""
    alone = isinstance(model, LanguageModel)
    modules = dict(model.named_modules())
    found = []
    for path, module in modules.items():
        parent = modules.get(path.rpartition(".")[0])
        if isinstance(module, Embedding):
            found.append((module.table, path.replace("_", " "), f"{path}.table"))
            if module.config.positions in ("sinusoidal", "learned"):
                place = f"{path}.positions" if hasattr(module, "positions") else path
                found.append((module, f"{module.config.positions} positions", place))
        elif isinstance(module, MultiHeadAttention):
            masked = path.endswith("self_attention") and (alone or path.startswith("decoder"))
            kind = path.rpartition(".")[2].replace("_", "-")
            found.append((module, f"masked {kind}" if masked else kind, path))
        elif isinstance(module, FeedForward):
            found.append((module, "feed-forward", path))
        elif isinstance(module, nn.LayerNorm):
            found.append((module, _name_norm(parent), path))
        elif path == "output":
            found.append((module, "output", path))
    return found


def _name_norm(parent: nn.Module) -> str:
    if not isinstance(parent, Residual):
        return "final norm"
    return "norm" if parent.norm_first else "add and norm"


def _count_once(traced: Sequence[tuple[PartSummary, list[nn.Parameter]]]) -> list[PartSummary]:
    """Count each parameter in the first part that uses it."""
    owner: dict[int, str] = {}
    parts = []
    for part, parameters in traced:
        fresh = [parameter for parameter in parameters if id(parameter) not in owner]
        shared = [owner[id(parameter)] for parameter in parameters if id(parameter) in owner]
        owner |= {id(parameter): part.path for parameter in fresh}
        count = sum(parameter.numel() for parameter in fresh)
        parts.append(replace(part, parameters=count, tied_to=shared[0] if shared else None))
    return parts


def _check_model(model) -> None:
    if not isinstance(model, Transformer | LanguageModel):
        raise ValueError(
            f"model={_describe(type(model).__name__)} has no known parts; give a Transformer or a LanguageModel"
        )


def _check_complete(model: nn.Module, parts: Sequence[PartSummary]) -> None:
    total = sum(parameter.numel() for parameter in model.parameters())
    counted = sum(part.parameters for part in parts)
    if counted != total:
        raise ValueError(
            f"the parts hold {counted:,} parameters and the model {total:,}; only the parts of a plain Transformer "
            "or LanguageModel are known, so give one without additions"
        )
