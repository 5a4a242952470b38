import copy
import dataclasses
import pickle

import pytest
import torch
from closeness import assert_close, assert_same_gradients
from torch import nn

from lesson_tf.attention import causal_mask
from lesson_tf.torch_weights import copy_torch_weights
from lesson_tf.transformer import (
    DecoderLayer,
    EncoderLayer,
    Transformer,
    TransformerConfig,
    relative_positions,
)
from lesson_tf.transformer_config import POSITIONS

DTYPES = [torch.float32, torch.float64]
SIZES = dict(d_model=12, heads=3, encoder_layers=2, decoder_layers=3, d_ff=20, dropout=0.0)
CONFIG = TransformerConfig(source_vocab=11, target_vocab=7, **SIZES)


def config(**changes):
    return dataclasses.replace(CONFIG, **changes)


def shaken(module, dtype):
    """Give a torch module weights that no symmetry hides: biases and norms away from 0 and 1."""
    module = module.to(dtype)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.eval()


def torch_layer(kind, norm_first, dtype):
    layer = kind(
        12, 3, 20, dropout=0.0, batch_first=True, norm_first=norm_first, layer_norm_eps=1e-5
    )
    return shaken(layer, dtype)


def streams(batch, queries, keys, dtype):
    x = torch.randn(batch, queries, 12, dtype=dtype, requires_grad=True)
    memory = torch.randn(batch, keys, 12, dtype=dtype, requires_grad=True)
    return x, memory


def parameter_pairs(ours, theirs):
    """Pair feed-forward and output weights, whose shapes are the same in both."""
    return [
        (ours.feed_forward.widen.weight, theirs.linear1.weight),
        (ours.feed_forward.narrow.bias, theirs.linear2.bias),
        (ours.self_attention.w_o.weight, theirs.self_attn.out_proj.weight),
    ]


def padding_of(batch, length):
    return torch.arange(length) >= torch.tensor([length, 1, length - 1])[:batch, None]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize(("batch", "length"), [(1, 1), (3, 7)])
@pytest.mark.parametrize("masked", [False, True])
def test_encoder_layer_equals_torch(masked, batch, length, norm_first, dtype):
    theirs = torch_layer(nn.TransformerEncoderLayer, norm_first, dtype)
    ours = EncoderLayer(config(norm_first=norm_first)).to(dtype).eval()
    copy_torch_weights(ours, theirs)
    x, _ = streams(batch, length, 1, dtype)
    padding = padding_of(batch, length) if masked else torch.zeros(batch, length, dtype=torch.bool)
    output = ours(x, ~padding[:, None, None])
    expected = theirs(x, src_key_padding_mask=padding)
    assert_close(output, expected)
    assert_same_gradients(output, expected, (x,), parameter_pairs(ours, theirs))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize(("batch", "length", "keys"), [(1, 1, 1), (3, 7, 5)])
def test_decoder_layer_equals_torch(batch, length, keys, norm_first, dtype):
    theirs = torch_layer(nn.TransformerDecoderLayer, norm_first, dtype)
    ours = DecoderLayer(config(norm_first=norm_first)).to(dtype).eval()
    copy_torch_weights(ours, theirs)
    x, memory = streams(batch, length, keys, dtype)
    padding = padding_of(batch, keys) if keys > 1 else torch.zeros(batch, keys, dtype=torch.bool)
    output = ours(x, memory, causal_mask(length), ~padding[:, None, None])
    expected = theirs(x, memory, tgt_mask=~causal_mask(length), memory_key_padding_mask=padding)
    assert_close(output, expected)
    assert_same_gradients(output, expected, (x, memory), parameter_pairs(ours, theirs))


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize(("batch", "length", "keys"), [(1, 1, 3), (3, 7, 5)])
def test_transformer_equals_torch(batch, length, keys, norm_first, dtype):
    theirs = shaken(
        nn.Transformer(12, 3, 2, 3, 20, dropout=0.0, batch_first=True, norm_first=norm_first), dtype
    )
    ours = Transformer(config(norm_first=norm_first)).to(dtype).eval()
    copy_torch_weights(ours, theirs)
    target, source = streams(batch, length, keys, dtype)
    padding = padding_of(batch, keys)
    allowed = ~padding[:, None, None]
    output = ours.decoder(target, ours.encoder(source, allowed), causal_mask(length), allowed)
    expected = theirs(
        source,
        target,
        tgt_mask=~causal_mask(length),
        src_key_padding_mask=padding,
        memory_key_padding_mask=padding,
    )
    assert_close(output, expected)
    pairs = [
        (ours.encoder.norm.weight, theirs.encoder.norm.weight),
        (ours.decoder.norm.bias, theirs.decoder.norm.bias),
        (ours.encoder.layers[0].feed_forward.widen.weight, theirs.encoder.layers[0].linear1.weight),
    ]
    assert_same_gradients(output, expected, (source, target), pairs)


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("norm_first", [False, True])
def test_every_positional_kind_trains_a_step(positions, norm_first):
    model = Transformer(config(positions=positions, norm_first=norm_first, d_model=12, heads=2))
    source, target = torch.randint(1, 11, (3, 9)), torch.randint(1, 7, (3, 5))
    logits = model(source, target)
    assert logits.shape == (3, 5, 7)
    logits.square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("positions", POSITIONS)
def test_the_encoder_hears_the_order_of_tokens_unless_there_are_no_positions(positions):
    model = Transformer(config(positions=positions, heads=2)).double().eval()
    source = torch.tensor([[3, 4, 5, 6, 7]])
    order = torch.tensor([2, 0, 4, 1, 3])
    straight, shuffled = model.encode(source), model.encode(source[:, order])
    assert straight[:, order].allclose(shuffled) == (positions == "none")


@pytest.mark.parametrize("positions", POSITIONS)
def test_the_record_receives_every_layers_weights(positions):
    model = Transformer(config(positions=positions, heads=2)).eval()
    source, target = torch.tensor([[3, 4, 5, 0]]), torch.tensor([[1, 2, 3]])
    reading, writing = [], []
    memory = model.encode(source, reading)
    model.decode(target, memory, source, writing)
    assert [w.shape for w in reading] == [(1, 2, 4, 4)] * 2
    assert [w.shape for w in writing] == [(1, 2, 3, 3), (1, 2, 3, 4)] * 3
    for weights in reading + writing:
        assert weights.sum(-1).allclose(torch.ones(()))
    assert all(w[..., 3].eq(0).all() for w in [*reading, *writing[1::2]])
    assert model.decode(target, memory, source).allclose(model(source, target), atol=1e-6)


def test_tied_embeddings_share_one_matrix():
    model = Transformer(config(tie_embeddings=True))
    assert model.output.weight is model.target_embedding.table.weight
    free = Transformer(config())
    count = [sum(p.numel() for p in m.parameters()) for m in (free, model)]
    assert count[0] - count[1] == 7 * 12


@pytest.mark.parametrize("positions", POSITIONS)
def test_only_learned_positions_have_a_longest_length(positions):
    model = Transformer(config(positions=positions, max_length=6, heads=2)).eval()
    long = torch.ones(1, 9, dtype=torch.long)
    if positions == "learned":
        with pytest.raises(ValueError, match="length=9 is longer than the max_length=6"):
            model(long, long[:, :3])
    else:
        assert model(long, long[:, :3]).isfinite().all()


def test_state_dict_round_trip(tmp_path):
    model = Transformer(CONFIG).eval()
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    other = Transformer(CONFIG).eval()
    other.load_state_dict(torch.load(tmp_path / "weights.pt"))
    ids = torch.tensor([[1, 2, 3]])
    assert other(ids, ids).equal(model(ids, ids))


def test_dropout_is_silent_in_evaluation():
    model = Transformer(config(dropout=0.5))
    ids = torch.tensor([[1, 2, 3]])
    assert not model(ids, ids).equal(model(ids, ids))
    model.eval()
    assert model(ids, ids).equal(model(ids, ids))


@pytest.mark.parametrize("positions", POSITIONS)
def test_a_source_of_padding_alone_gives_finite_numbers(positions):
    model = Transformer(config(positions=positions))
    source, target = torch.zeros(2, 5, dtype=torch.long), torch.ones(2, 4, dtype=torch.long)
    record = []
    memory = model.encode(source, record)
    logits = model.decode(target, memory, source, record)
    assert all(weights.isfinite().all() for weights in record)
    (model(source, target).sum() + logits.sum()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("positions", POSITIONS)
def test_a_copy_a_pickle_and_half_precision_serve(positions):
    model = Transformer(config(positions=positions)).eval()
    ids = torch.ones(2, 5, dtype=torch.long)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other(ids, ids).equal(model(ids, ids))
    assert model.to(torch.bfloat16)(ids, ids).isfinite().all()
    assert model(ids[:0], ids[:0]).shape[:2] == (0, 5)


def test_the_bias_of_alibi_stands_on_the_device_of_x():
    bias = relative_positions(config(positions="alibi"), torch.zeros(2, 5, 8, device="meta"))[
        "bias"
    ]
    assert bias.is_meta


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("positions", POSITIONS)
def test_a_model_can_be_exported_for_any_batch_and_length(positions):
    model = Transformer(config(positions=positions)).eval()
    batch, keys, length = (torch.export.Dim(name, min=1, max=8) for name in ("b", "k", "t"))
    shapes = ({0: batch, 1: keys}, {0: batch, 1: length})
    examples = (torch.ones(2, 5).long(), torch.ones(2, 4).long())
    exported = torch.export.export(model, examples, dynamic_shapes=shapes).module()
    for sizes in ((3, 7, 8), (1, 1, 1)):
        source, target = torch.randint(0, 7, sizes[:2]), torch.randint(0, 7, sizes[::2])
        torch.testing.assert_close(exported(source, target), model(source, target))
