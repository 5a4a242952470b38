"""Imports run one way, and a module brings no more than it needs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lesson_tf

PACKAGE = Path(lesson_tf.__file__).parent
# A module may import from the groups above its own, and from its own.
LAYERS = [
    {"palette", "vocabulary", "corpus", "japanese_years"},
    {"byte_pair_encoding", "n_gram", "date_styles"},
    {"attention", "positional_encoding", "tokenization"},
    {"transformer_config", "dates"},
    {"transformer_layers"},
    {"transformer"},
    {"checkpoints", "residual_stream"},
    {"decoding", "training"},
    {"torch_weights", "model_summary", "model_files"},
    {"recipes"},
    {"translator", "language_model", "family"},
    {"export"},
    {"inspection"},
    {"figures"},
    {"train_models", "experiments"},
    {"explore", "checks"},
    {"grading"},
]
ALONE = {"attention", "positional_encoding", "palette", "vocabulary", "corpus"}
FILES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def module_of(path: Path) -> str:
    """Name the first part below the package: a module, or the folder of one."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(path: Path) -> set[str]:
    """Name the modules of the package that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("lesson_tf.")}
    return found


def layer(module: str) -> int:
    (place,) = [i for i, group in enumerate(LAYERS) if module in group]
    return place


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    module = module_of(path)
    for other in imported_modules(path) - {module}:
        assert module not in ALONE, f"{module} imports {other}"
        assert layer(other) <= layer(module), f"{module} imports {other}"


def modules_after(statement: str) -> set[str]:
    """Run a statement in a new interpreter; name the top-level modules it has loaded."""
    code = f"{statement}; import sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_attention_loads_torch_and_nothing_heavier():
    heavy = {"matplotlib", "ipywidgets", "IPython", "sudachipy", "pandas", "beartype"}
    beyond_torch = modules_after("import lesson_tf.attention") - modules_after("import torch")
    assert not beyond_torch & heavy
    assert beyond_torch <= {"lesson_tf", "jaxtyping", "wadler_lindig", *sys.stdlib_module_names}


def test_the_analyser_loads_at_its_first_japanese_word():
    assert "sudachipy" not in modules_after("import lesson_tf.tokenization")


def test_tokenization_loads_no_torch():
    beyond = modules_after("import lesson_tf.tokenization") - modules_after("pass")
    assert beyond <= {"lesson_tf", "regex", *sys.stdlib_module_names}


def test_onnx_loads_at_the_first_export():
    assert not {"onnx", "onnxscript"} & modules_after("import lesson_tf.export")


def test_palette_imports_nothing():
    assert not {"torch", "numpy", "matplotlib"} & modules_after("import lesson_tf.palette")
