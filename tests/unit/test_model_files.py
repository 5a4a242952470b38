"""Models as files: what is written comes back, and what is no model gets a sentence."""

import pytest
import torch
from safetensors.torch import save_file

from lesson_tf.model_files import DATA, load_model, save_model
from lesson_tf.transformer import LanguageModel, Transformer, TransformerConfig


@pytest.mark.parametrize("tie_embeddings", [False, True])
@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary"])
@pytest.mark.parametrize("kind", [Transformer, LanguageModel])
def test_what_is_written_comes_back(tmp_path, kind, positions, tie_embeddings):
    config = TransformerConfig(9, 7, d_model=8, positions=positions, tie_embeddings=tie_embeddings)
    model = kind(config).eval()
    save_model(tmp_path / "model.safetensors", model, note="hello")
    again, texts = load_model(tmp_path / "model.safetensors")
    assert (again.config, texts, again.training) == (config, {"note": "hello"}, False)
    ids = torch.tensor([[4, 5, 6]])
    inputs = (ids, ids) if kind is Transformer else (ids,)
    assert torch.equal(model(*inputs), again(*inputs))
    assert (again.output.weight.data_ptr() == model.output.weight.data_ptr()) is False
    embedding = again.target_embedding if kind is Transformer else again.embedding
    assert (again.output.weight is embedding.table.weight) == tie_embeddings


def test_half_precision_on_disk_is_single_precision_in_use(tmp_path):
    model = LanguageModel(TransformerConfig(9, 9, d_model=8))
    save_model(tmp_path / "a" / "model.safetensors", model, torch.float16)
    again, _ = load_model(tmp_path / "a" / "model.safetensors")
    assert again.output.weight.dtype == torch.float32
    torch.testing.assert_close(again.output.weight, model.output.weight, atol=1e-3, rtol=1e-3)


def test_a_missing_file_gets_a_sentence(tmp_path):
    with pytest.raises(
        ValueError, match=r"there is no model 'x\.safetensors'; `make models` trains"
    ):
        load_model(tmp_path / "x.safetensors")


def test_another_file_gets_a_sentence(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"no model")
    with pytest.raises(ValueError, match="is no model that save_model wrote"):
        load_model(path)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="is no model that save_model wrote"):
        load_model(path)


def test_a_model_that_lacks_weights_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    model = LanguageModel(TransformerConfig(9, 9, d_model=8))
    del model.norm.bias
    model.norm.register_parameter("bias", None)
    save_model(path, model)
    with pytest.raises(ValueError, match=r"lacks the weights norm\.bias"):
        load_model(path)


def test_the_data_of_the_package_stay_under_six_megabytes():
    files = [path for path in DATA.rglob("*") if path.is_file()]
    assert files
    assert sum(path.stat().st_size for path in files) < 6e6


@pytest.mark.usefixtures("unchecked")
def test_what_could_not_be_read_again_is_not_written(tmp_path):
    path = tmp_path / "model.safetensors"
    model = LanguageModel(TransformerConfig(9, 9, d_model=8))
    with pytest.raises(ValueError, match="model='Linear' cannot be read again; give a Transformer"):
        save_model(path, torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"dtype=torch\.int8 holds no weights; use torch\.float32"):
        save_model(path, model, torch.int8)
    with pytest.raises(ValueError, match=r"path=5 is no path; give a string or a pathlib\.Path"):
        save_model(5, model)
    assert not path.exists()


def test_a_path_may_be_a_string(tmp_path):
    path = str(tmp_path / "model.safetensors")
    save_model(path, LanguageModel(TransformerConfig(9, 9, d_model=8)))
    assert load_model(path)[0].config.d_model == 8
