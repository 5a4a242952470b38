"""What nbval needs, so that plain `pytest --nbval book` works; and what figures need.

The notebooks are committed with their text outputs alone; pictures and HTML are drawn again
whenever the book is built. So text is compared, and everything else is not.
"""

import os
import sys
from collections.abc import Iterator
from functools import partial

import pytest

DRAWN_AGAIN = (
    "image/png",
    "image/svg+xml",
    "text/html",
    "text/latex",
    "text/markdown",
    "application/vnd.jupyter.widget-view+json",
)


def pytest_configure(config):
    """Run notebooks with this interpreter and, as in the book, without widgets."""
    if not config.getoption("nbval", default=False):
        return
    import nbval.kernel

    config.option.nbval_current_env = True
    os.environ["LESSON_TF_BOOK"] = "1"
    # torch's build for NVIDIA cards would report, into a cell, a machine with CUDA's compiler and no card.
    os.environ.setdefault("TORCH_LOGS", "-torch.utils.cpp_extension")
    nbval.kernel.RunningKernel.execute_cell_input = execute_with_history
    nbval.kernel.start_new_kernel = partial(
        nbval.kernel.start_new_kernel, extra_arguments=["--HistoryManager.hist_file=:memory:"]
    )


def execute_with_history(self, cell_input, allow_stdin=None):
    """Send a cell to the kernel as JupyterLab does.

    nbval sends it without history, and IPython looks into the history for the `;` which keeps a
    drawing's return value out of the outputs.
    """
    return self.kc.execute(cell_input, allow_stdin=allow_stdin, stop_on_error=False)


def pytest_collectstart(collector):
    """Compare the text of an output alone."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += DRAWN_AGAIN


def pytest_itemcollected(item):
    """Give a slow machine more than nbval's 5 seconds to hand over an output."""
    if hasattr(item, "output_timeout"):
        item.output_timeout = 60


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    """Close what a test or an example in a docstring has drawn: twenty open figures are a warning."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")
