"""The exercises of chapter 5 as printed: their examples are true, and their fight is fair."""

import re
from pathlib import Path

import nbformat
import pytest
import torch

NOTEBOOK = Path(__file__).parents[2] / "book/en/why_it_works/exercises.ipynb"
CELLS = {cell.id: cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells}


@pytest.mark.parametrize("name", ["exponent", "workers", "distance"])
def test_the_example_of_the_statement_is_true(name):
    call, wanted = re.search(r"^```\n(.+)\n(.+)\n```$", CELLS[f"{name}-statement"], re.M).groups()
    space = {"torch": torch}
    exec(CELLS[f"{name}-solution"], space)
    assert repr(eval(call, space)) == wanted


def test_the_fights_of_both_models_have_the_same_bits():
    space = {}
    for name in ("setup", "lstm-models", "lstm-start"):
        exec(CELLS[name], space)
    read = {"Recurrent": [], "transformer": []}
    for name, seen in read.items():

        def copy(bits, seen=seen):
            seen.append(bits.clone())
            return bits

        space["fight"](space[name], copy, seed=3, steps=2)
    recurrent, attentive = (torch.cat(seen) for seen in read.values())
    assert torch.equal(recurrent, attentive) and len(recurrent) >= 256
    first, second = (sum(weight.numel() for weight in space[name]().parameters()) for name in read)
    assert abs(first / second - 1) < 0.03
