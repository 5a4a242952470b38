"""Trained models as files: weights in safetensors, with the configuration and the vocabulary beside them.

Such a file holds numbers and text alone: loading it runs no code.
"""

import dataclasses
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from lesson_tf.attention import _describe
from lesson_tf.transformer import LanguageModel, Transformer, TransformerConfig

DATA = Path(__file__).parent / "data"
KINDS = {"Transformer": Transformer, "LanguageModel": LanguageModel}


def as_path(name: str, path) -> Path:
    """Read the name of a file or folder; raises ValueError for what is none.

    >>> as_path("folder", "data").name
    'data'
    """
    try:
        return Path(path)
    except TypeError:
        raise ValueError(
            f"{name}={_describe(path)} is no path; give a string or a pathlib.Path"
        ) from None


def save_model(
    path: str | Path, model: nn.Module, dtype: torch.dtype = torch.float32, **texts: str
) -> None:
    """Write a model's weights in `dtype`, its configuration, and further texts such as its vocabulary.

    A tied matrix is written once. Raises ValueError for a model that load_model could not read again, and for a
    dtype that is no float.

    >>> import tempfile
    >>> model = LanguageModel(TransformerConfig(9, 9, d_model=8, tie_embeddings=True))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(Path(folder) / "model.safetensors", model, licence="MIT")
    ...     again, texts = load_model(Path(folder) / "model.safetensors")
    >>> again.config == model.config, texts
    (True, {'licence': 'MIT'})
    """
    path = as_path("path", path)
    if type(model).__name__ not in KINDS:
        raise ValueError(
            f"model={_describe(type(model).__name__)} cannot be read again; give a {' or a '.join(KINDS)}"
        )
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ValueError(
            f"dtype={_describe(dtype)} holds no weights; use torch.float32, or torch.float16 for half the size"
        )
    weights = {name: weight.detach().to(dtype) for name, weight in model.named_parameters()}
    config = json.dumps(dataclasses.asdict(model.config))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path, {"kind": type(model).__name__, "config": config, **texts})


def load_model(path: str | Path) -> tuple[Transformer | LanguageModel, dict[str, str]]:
    """Read a model, in float32 and ready to be used, and the texts that were written with it.

    Raises ValueError where there is no such file, or it is not one that save_model wrote.
    See `save_model` for an example.
    """
    path = as_path("path", path)
    try:
        with safe_open(path, "pt") as file:
            texts = dict(file.metadata() or {})
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        model = KINDS[texts.pop("kind")](TransformerConfig(**json.loads(texts.pop("config"))))
        model.load_state_dict(weights, strict=False)
    except FileNotFoundError:
        raise ValueError(
            f"there is no model {path.name!r}; `make models` trains those of the course"
        ) from None
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        raise ValueError(f"{path.name!r} is no model that save_model wrote: {error}") from error
    missing = {name for name, _ in model.named_parameters()} - set(weights)
    if missing:
        raise ValueError(f"{path.name!r} lacks the weights {', '.join(sorted(missing))}")
    return model.eval(), texts
