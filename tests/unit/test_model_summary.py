"""The summary of a model agrees with the model: shapes, parameters, order, and nothing is changed by looking."""

from itertools import product

import pytest
import torch
from torch import nn

from lesson_tf.model_summary import PartSummary, fold_layers, summarize
from lesson_tf.transformer import LanguageModel, Transformer, TransformerConfig
from lesson_tf.transformer_config import POSITIONS

SIZES = {"d_model": 16, "heads": 4, "d_ff": 40, "encoder_layers": 3, "decoder_layers": 2}
KINDS = list(product([Transformer, LanguageModel], POSITIONS, [False, True], [False, True]))


def build(kind=Transformer, positions="sinusoidal", norm_first=False, tied=False, **changes):
    choices = {"norm_first": norm_first, "positions": positions, "tie_embeddings": tied, **SIZES}
    return kind(TransformerConfig(23, 11, **{**choices, **changes}))


def parameters_of(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("kind", "positions", "norm_first", "tied"), KINDS)
def test_parts_add_up_to_the_model(kind, positions, norm_first, tied):
    model = build(kind, positions, norm_first, tied)
    parts = summarize(model, source_length=7, target_length=5, batch=2)
    assert sum(part.parameters for part in parts) == parameters_of(model)
    folded = fold_layers(parts)
    assert sum(part.parameters * part.repeats for part in folded) == parameters_of(model)
    for part in parts:
        module = model.get_submodule(part.path)
        if part.tied_to:
            assert (part.name, part.parameters) == ("output", 0)
            assert model.get_submodule(part.tied_to).weight is module.weight
        elif part.name == "sinusoidal positions":
            assert part.parameters == 0
        else:
            assert part.parameters == parameters_of(module)
    assert any(part.tied_to for part in parts) == tied


@pytest.mark.parametrize(("kind", "positions", "norm_first", "tied"), KINDS)
def test_shapes_are_those_of_a_run(kind, positions, norm_first, tied):
    model = build(kind, positions, norm_first, tied).eval()
    seen = {}

    def look(path):
        def hook(module, inputs, named, output):
            output = output[0] if isinstance(output, tuple) else output
            entering = inputs[0] if inputs else next(iter(named.values()))
            entering = getattr(entering, "shape", None)
            seen[path] = (entering, output.shape)

        return hook

    for path, module in model.named_modules():
        module.register_forward_hook(look(path), with_kwargs=True)
    ids = [torch.ones(2, 7, dtype=torch.long), torch.ones(2, 5, dtype=torch.long)]
    model(*ids[-1 if kind is LanguageModel else 0 :])
    for part in summarize(build(kind, positions, norm_first, tied), 7, 5, batch=2):
        if "positions" in part.name:
            length = 7 if part.path.startswith("source") else 5
            assert part.input_shape == part.output_shape == (2, length, 16)
        else:
            assert (part.input_shape, part.output_shape) == seen[part.path]


def test_parts_stand_in_the_order_of_the_forward_pass():
    after = [part.name for part in summarize(build(encoder_layers=1, decoder_layers=1))]
    assert after == [
        "source embedding", "sinusoidal positions",
        "self-attention", "add and norm", "feed-forward", "add and norm", "final norm",
        "target embedding", "sinusoidal positions",
        "masked self-attention", "add and norm", "cross-attention", "add and norm",
        "feed-forward", "add and norm", "final norm", "output",
    ]  # fmt: skip
    before = summarize(build(LanguageModel, "rotary", norm_first=True, decoder_layers=1))
    assert [part.name for part in before] == [
        "embedding", "norm", "masked self-attention", "norm", "feed-forward", "final norm", "output",
    ]  # fmt: skip


def test_stacks_have_as_many_parameters_as_torch_s():
    theirs = nn.Transformer(16, 4, 3, 2, dim_feedforward=40, batch_first=True)
    parts = summarize(build())
    for side in ("encoder", "decoder"):
        ours = sum(part.parameters for part in parts if part.path.startswith(side))
        assert ours == parameters_of(getattr(theirs, side))


def test_layers_are_joined_with_their_number():
    folded = fold_layers(summarize(build()))
    repeats = {part.path: part.repeats for part in folded}
    assert repeats["encoder.layers.*.feed_forward"] == 3
    assert repeats["decoder.layers.*.cross_attention"] == 2
    assert repeats["encoder.norm"] == repeats["output"] == 1
    once = PartSummary("feed-forward", "layers.0.feed_forward", (1, 2, 4), (1, 2, 4), 10)
    other = PartSummary("feed-forward", "layers.1.feed_forward", (1, 2, 4), (1, 2, 4), 12)
    with pytest.raises(ValueError, match=r"layers\.1\.feed_forward has 12.*another layer 10"):
        fold_layers([once, other])


def test_the_model_is_left_as_it_was():
    model = build(dropout=0.5).train()
    model.encoder.layers[0].eval()
    modes = [module.training for module in model.modules()]
    state = torch.random.get_rng_state()
    summarize(model)
    with pytest.raises(ValueError, match="max_length=8"):
        summarize(build(positions="learned", max_length=8), source_length=9)
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    build()  # draws
    torch.random.set_rng_state(state)
    model.train()
    expected = torch.rand(3)
    torch.random.set_rng_state(state)
    summarize(model)
    assert torch.equal(torch.rand(3), expected)


def test_a_model_without_numbers_can_be_summarized():
    with torch.device("meta"):
        large = build(d_model=512, heads=8, d_ff=2048)
    parts = summarize(large, 30, 20)
    assert sum(part.parameters for part in parts) == parameters_of(large)


class Larger(LanguageModel):
    def __init__(self, config):
        super().__init__(config)
        self.value_head = nn.Linear(config.d_model, 1)


WRONG = {
    "another model": (lambda: summarize(nn.Linear(2, 2)), "'Linear' has no known parts"),
    "torch's": (
        lambda: summarize(nn.Transformer(4, 2, 1, 1, 4, batch_first=True)),
        "give a Transformer or a Lang",
    ),
    "no length": (lambda: summarize(build(), source_length=0), "source_length=0 is too small"),
    "endless": (lambda: summarize(build(), target_length=10**6), "too large; use 1 to 4096"),
    "no batch": (lambda: summarize(build(), batch=0), "batch=0 is too small"),
    "positions": (
        lambda: summarize(build(positions="learned", max_length=8), target_length=9),
        "longer than the max_length=8",
    ),
    "additions": (lambda: summarize(build(Larger)), "give one without additions"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.usefixtures("unchecked")
def test_wrong_arguments_get_a_sentence(name):
    call, sentence = WRONG[name]
    with pytest.raises(ValueError, match=sentence):
        call()
