"""The icon fonts of the theme, cut to the icons that the pages show: 3 KB instead of 270."""

from pathlib import Path

import pydata_sphinx_theme
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx

from .look import add_static_folder

FONTS = (
    Path(pydata_sphinx_theme.__file__).parent
    / "theme/pydata_sphinx_theme/static/vendor/fontawesome/webfonts"
)
SOLID = (
    "angle-left angle-right arrow-up bars bell chevron-down chevron-right circle-exclamation "
    "circle-half-stroke circle-info circle-xmark lightbulb list magnifying-glass moon share sun "
    "triangle-exclamation xmark"
)
ICONS = {
    "fa-solid-900": ("Font Awesome 6 Free", 900, SOLID.split()),
    "fa-brands-400": ("Font Awesome 6 Brands", 400, ["github"]),
}

# A browser takes the last rule that has the character: an icon not listed here comes from the
# theme's whole font, as before.
RULE = """@font-face {{
  font-display: block;
  font-family: "{family}";
  font-weight: {weight};
  src: url({name}.woff) format("woff");
}}
"""


def _cut(name: str, glyphs: list[str], folder: Path) -> None:
    font = TTFont(FONTS / f"{name}.ttf")
    cutter = Subsetter(Options(layout_features=[], notdef_outline=False))
    cutter.populate(glyphs=glyphs)
    cutter.subset(font)
    font.flavor = "woff"
    font.save(folder / f"{name}.woff")


def _add_icons(app: Sphinx) -> None:
    folder = add_static_folder(app, "icons")
    rules = ""
    for name, (family, weight, glyphs) in ICONS.items():
        _cut(name, glyphs, folder)
        rules += RULE.format(family=family, weight=weight, name=name)
    (folder / "icons.css").write_text(rules, encoding="utf-8")
    app.add_css_file("icons.css", priority=900)


def setup(app: Sphinx) -> None:
    """Add the small icon fonts."""
    app.connect("builder-inited", _add_icons)
