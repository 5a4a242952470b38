"""The residual stream is recorded as it runs through the parts, and turns are the angles between its states."""

import math

import pytest
import torch

from lesson_tf.residual_stream import recorded_stream, stream_parts, turns
from lesson_tf.transformer import LanguageModel, Transformer, TransformerConfig

SOURCE, TARGET = torch.tensor([[4, 5, 6], [6, 5, 4]]), torch.tensor([[1, 7], [1, 8]])


def make(**choices):
    torch.manual_seed(0)
    return Transformer(TransformerConfig(9, 9, d_model=8, heads=2, **choices)).eval()


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize(("encoder_layers", "decoder_layers"), [(2, 2), (1, 3)])
def test_states_are_what_the_parts_give_out_one_by_one(norm_first, encoder_layers, decoder_layers):
    layers = {"encoder_layers": encoder_layers, "decoder_layers": decoder_layers}
    model = make(norm_first=norm_first, dropout=0.0, **layers)
    with recorded_stream(model) as record:
        model(SOURCE, TARGET)
    x = model.source_embedding(SOURCE)
    expected = [x]
    for layer in model.encoder.layers:
        middle = layer.attention_residual(x, lambda y, at=layer.self_attention: at(y)[0])
        x = layer(x)
        expected += [middle, x]
    memory = model.encoder.norm(x)
    torch.testing.assert_close(record.encoder, torch.stack([*expected, memory]))
    assert record.decoder.shape == (3 * decoder_layers + 2, 2, 2, 8)
    x = model.target_embedding(TARGET)
    mask = torch.tensor([[True, False], [True, True]])
    for number, layer in enumerate(model.decoder.layers):
        torch.testing.assert_close(record.decoder[3 * number], x)
        x = layer(x, memory, mask)
    torch.testing.assert_close(record.decoder[-2], x)
    torch.testing.assert_close(record.decoder[-1], model.decoder.norm(x))


def test_the_last_pass_counts_and_nothing_stays_behind():
    model = make()
    with recorded_stream(model) as record:
        model.encode(SOURCE)
        model.encode(SOURCE[:1, :2])
    model.encode(SOURCE)
    assert record.encoder.shape == (6, 1, 2, 8)
    assert not any(part._forward_hooks for part in model.modules())
    with pytest.raises(RuntimeError), recorded_stream(model):
        raise RuntimeError
    assert not any(part._forward_hooks for part in model.modules())


@pytest.mark.usefixtures("unchecked")
def test_what_has_no_two_stacks():
    model = LanguageModel(TransformerConfig(9, 9, d_model=8))
    with pytest.raises(ValueError, match="model=LanguageModel has no encoder and decoder"):
        stream_parts(model)
    with pytest.raises(ValueError, match="give a Transformer"), recorded_stream(None):
        pass


@pytest.mark.parametrize("degrees", [0.5, 30.0, 90.0, 150.0, 180.0])
def test_turns_are_angles_whatever_the_lengths(degrees):
    angle = math.radians(degrees)
    first = torch.tensor([2.0, 0.0, 0.0])
    second = 7 * torch.tensor([math.cos(angle), 0.0, math.sin(angle)])
    stream = torch.stack([first, second, second])[:, None, None]
    turned = turns(stream)
    assert turned.shape == (2, 1, 1)
    assert turned[0].item() == pytest.approx(degrees, abs=0.05)
    assert turned[1].item() == pytest.approx(0, abs=0.1)
    assert torch.isfinite(turns(torch.zeros(3, 1, 2, 4))).all()
