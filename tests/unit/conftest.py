"""Check every shape that a signature promises, in each call the tests make."""

import jaxtyping
import pytest
import torch

torch.set_num_threads(1)
jaxtyping.install_import_hook("lesson_tf", "beartype.beartype")


@pytest.fixture(autouse=True)
def seeded():
    """Let each test draw the same random numbers, in whatever order the tests run."""
    torch.manual_seed(0)


@pytest.fixture
def unchecked():
    """Call the package as its users do, without the checks of the tests, so that its own sentences show."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
