"""Explorers in the pages: one script and one style sheet for all, and the models that they run.

The scripts stand in the folder of the same name; esbuild makes one file of them. The models are
exported from torch while the book is built, once for each state of the package.
"""

import base64
import hashlib
import io
import re
import shutil
import subprocess
from pathlib import Path

from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

from lesson_tf.palette import DARK, LIGHT

from . import packages
from .execution import ROOT, digest
from .look import add_static_folder

SOURCES = packages.THEME / "explorers"
ESBUILD = packages.PACKAGES / "esbuild" / "bin" / "esbuild"
RUNTIME = packages.PACKAGES / "onnxruntime-web" / "dist"
RUNTIME_FILES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
)
# Today's browsers; what they all know needs no rewriting.
TARGET = "chrome111,firefox115,safari16.4"

PICTURE = re.compile(
    r'(<lesson-explorer name="([\w-]+)"><img class="explorer-picture" loading="lazy" src=")data:image/png;base64,([^"]*)'
)


def bundle(folder: Path) -> None:
    """Write explorers.js and explorers.css: classic, minified, without a request of their own.

    Raises ExtensionError, with esbuild's own words, where a script is wrong.
    """
    command = [packages.NODE, ESBUILD, SOURCES / "index.js", SOURCES / "explorers.css"]
    options = ["--bundle", "--minify", "--format=iife", f"--target={TARGET}", "--log-level=warning"]
    named = ["--entry-names=[ext]/explorers", f"--outdir={folder}", "--charset=utf8"]
    done = subprocess.run([*command, *options, *named], capture_output=True, text=True, check=False)
    if done.returncode or done.stderr:
        raise ExtensionError(f"esbuild cannot bundle the explorers:\n{done.stderr}")
    for kind in ("js", "css"):
        (folder / kind / f"explorers.{kind}").replace(folder / f"explorers.{kind}")
        (folder / kind).rmdir()


def _export_models(app: Sphinx) -> Path:
    """Give the folder of the exported models, which is filled once for each state of the package."""
    from lesson_tf.export import export_all

    exported = Path(app.outdir).parent / ".exported"
    folder = exported / digest(ROOT / "src" / "lesson_tf", ROOT / "constraints.txt")
    if not folder.exists():
        shutil.rmtree(exported, ignore_errors=True)
        unfinished = exported / "unfinished"
        unfinished.mkdir(parents=True)
        export_all(unfinished)
        unfinished.rename(folder)
    return folder


def _prepare(app: Sphinx) -> None:
    if app.builder.format != "html":
        return
    packages.install()
    target = add_static_folder(app, "explorers-files") / "explorers"
    target.mkdir(exist_ok=True)
    bundle(target)
    for name in RUNTIME_FILES:
        shutil.copy(RUNTIME / name, target)
    shutil.copytree(_export_models(app), target, dirs_exist_ok=True)
    app.add_js_file("explorers/explorers.js", priority=902, loading_method="defer")
    app.add_css_file("explorers/explorers.css", priority=902)


def _prefer_elements(app: Sphinx, config: Config) -> None:
    # Of what an explorer gives, a page takes the element; other builders take the picture.
    config.nb_mime_priority_overrides = [("html", "text/html", 5)]


def _move_pictures_out(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Write the pictures inside elements to files, so that a page stays light and they load late."""

    def write(match: re.Match) -> str:
        start, name, encoded = match.groups()
        picture = _few_colours(base64.b64decode(encoded))
        file = f"explorer-{name}-{hashlib.sha256(picture).hexdigest()[:8]}.png"
        images = Path(app.outdir) / "_images"
        images.mkdir(exist_ok=True)
        (images / file).write_bytes(picture)
        return f"{start}{context['pathto'](f'_images/{file}', resource=True)}"

    if "<lesson-explorer" in context.get("body", ""):
        context["body"] = PICTURE.sub(write, context["body"]) + _signed_scale()


def _few_colours(picture: bytes) -> bytes:
    """Write a picture with 128 colours, which nobody sees and which saves two thirds of its bytes."""
    written = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        image.convert("RGB").quantize(128).save(written, format="png", optimize=True)
    return written.getvalue()


def _signed_scale() -> str:
    """Write the colour scales of signed values, light and dark, that the pictures refer to."""

    def stops(palette: dict[str, str]) -> str:
        ends = ((0, "positive"), (50, "paper"), (100, "negative"))
        return "".join(f'<stop offset="{at}%" stop-color="{palette[role]}"/>' for at, role in ends)

    scales = (("light", LIGHT), ("dark", DARK))
    gradients = "".join(
        f'<linearGradient id="explorer-signed-{scheme}" x2="0" y2="1">{stops(palette)}</linearGradient>'
        for scheme, palette in scales
    )
    return f'<svg class="explorer-scales" width="0" height="0" aria-hidden="true">{gradients}</svg>'


def setup(app: Sphinx) -> None:
    """Bundle the scripts, export the models, and take the elements into the pages."""
    app.connect("config-inited", _prefer_elements)
    app.connect("builder-inited", _prepare)
    app.connect("html-page-context", _move_pictures_out)
