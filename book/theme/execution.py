"""How the notebooks are run: explorers draw pictures, and a changed package runs everything again."""

import hashlib
import os
import shutil
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS = {"__pycache__", "node_modules"}


def digest(*paths: Path) -> str:
    """Hash files and folders, by their names inside the project and by what they hold."""
    sums = hashlib.sha256()
    for path in sorted(file for top in paths for file in [top, *top.rglob("*")]):
        if path.is_file() and not NOT_OURS & set(path.parts):
            sums.update(path.relative_to(ROOT).as_posix().encode())
            sums.update(path.read_bytes())
    return sums.hexdigest()[:16]


def _choose_cache(app: Sphinx, config: Config) -> None:
    # What a notebook shows depends on the package and its pins too, but the cache compares notebooks
    # alone. With the digest in its path, a changed package finds an empty cache; and since the path
    # is a setting of Sphinx's environment, every page is then read again.
    sources = digest(ROOT / "src" / "lesson_tf", ROOT / "requirements.txt")
    cache = Path(app.outdir).parent / ".executed" / sources
    config.nb_execution_cache_path = str(cache)


def _drop_stale_caches(app: Sphinx) -> None:
    cache = Path(app.config.nb_execution_cache_path)
    for other in cache.parent.glob("*"):
        if other != cache:
            shutil.rmtree(other)


def setup(app: Sphinx) -> None:
    """Set the environment of the kernels, and choose the execution cache."""
    os.environ["LESSON_TF_BOOK"] = "1"
    # The lessons' tensors are small: one thread is as fast as two, and many times faster than two on
    # a busy machine. The tests of the notebooks run with one as well.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # torch's build for NVIDIA cards would report, into a page, a machine with CUDA's compiler and no card.
    os.environ.setdefault("TORCH_LOGS", "-torch.utils.cpp_extension")
    app.connect("config-inited", _choose_cache)
    app.connect("builder-inited", _drop_stale_caches)
