"""The Sphinx extension with everything this book changes in its theme.

Each module here adds one thing and has its own `setup`. The book builds without the extension too:
take the line `- book.theme` out of `_config.yml`.
"""

from sphinx.application import Sphinx

from . import (
    access,
    binder,
    execution,
    exercises,
    explorers,
    icons,
    lean,
    look,
    mathematics,
    pictures,
    search,
)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add every module of the theme to the build."""
    for module in (
        execution,
        exercises,
        mathematics,
        look,
        icons,
        lean,
        explorers,
        pictures,
        binder,
        search,
        access,
    ):
        module.setup(app)
    # A setting of the pages: when the theme changes, they are all written again.
    app.add_config_value("book_theme", execution.digest(execution.ROOT / "book" / "theme"), "html")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
