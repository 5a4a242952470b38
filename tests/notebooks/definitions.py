"""Compares a definition shown in a notebook with the package's source, as syntax trees."""

import ast
import copy
from functools import cache
from pathlib import Path

from reading import ROOT

PACKAGE = ROOT / "src" / "lesson_tf"
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@cache
def package_definitions(package: Path = PACKAGE) -> dict[str, list[Definition]]:
    """Return every top-level function and class of the package by name."""
    found: dict[str, list[Definition]] = {}
    for path in sorted(package.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, Definition):
                found.setdefault(node.name, []).append(node)
    return found


class _WhatALessonShows(ast.NodeTransformer):
    """Leaves out what the package needs and a lesson does not: docstrings, types, checks."""

    def visit_FunctionDef(self, node):
        node.returns = None
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        return self.visit_ClassDef(node)

    def visit_ClassDef(self, node):
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node

    def visit_AnnAssign(self, node):
        # A dataclass keeps its fields' types; an attribute such as `self.key: Tensor` does not.
        if isinstance(node.target, ast.Attribute) and node.value is not None:
            return ast.Assign(targets=[node.target], value=node.value)
        return node

    def visit_Expr(self, node):
        call = node.value
        if isinstance(call, ast.Call):
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            return None if name.startswith("_check") else node
        return node

    def visit_If(self, node):
        only_raises = all(isinstance(statement, ast.Raise) for statement in node.body)
        return None if only_raises and not node.orelse else self.generic_visit(node)


def shown(node: Definition) -> Definition:
    """Return a copy without docstrings, annotations and argument checks."""
    return _WhatALessonShows().visit(copy.deepcopy(node))


def difference(cell: Definition, package: Definition, longest: int = 40) -> str | None:
    """Return where a cell's definition departs from the package's, or None where both agree.

    A class that is longer than a cell may be may leave out methods; those it shows must agree.
    """
    mine, theirs = shown(cell), shown(package)
    if len(ast.unparse(theirs).splitlines()) > longest:
        names = {node.name for node in mine.body if isinstance(node, ast.FunctionDef)}
        theirs.body = [
            node
            for node in theirs.body
            if not isinstance(node, ast.FunctionDef) or node.name in names
        ]
    if ast.dump(mine) == ast.dump(theirs):
        return None
    mine_lines, their_lines = ast.unparse(mine).splitlines(), ast.unparse(theirs).splitlines()
    for here, there in zip(mine_lines, their_lines, strict=False):
        if here != there:
            return f"the cell has `{here.strip()}` where the package has `{there.strip()}`"
    return f"the cell has {len(mine_lines)} lines where the package has {len(their_lines)}"
