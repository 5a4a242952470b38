"""Execute notebooks in place and keep of their outputs what is compared: text.

    python book/run_notebooks.py                             # every notebook of the book
    python book/run_notebooks.py book/en/warm_up.ipynb ...   # some of them

A notebook is run from top to bottom in a fresh kernel, in its own folder. Its pictures, HTML and
widgets are left out of the file: the book draws them again whenever it is built. A notebook
that raises is left as it was. A file is written only when something in it has changed.
"""

import os
import sys
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

BOOK = Path(__file__).resolve().parent
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
EDITOR_STATE = {"execution", "collapsed", "scrolled", "trusted", "ExecuteTime", "vscode"}


def all_notebooks() -> list[Path]:
    """Return every notebook under the book's folder but the editor's own copies."""
    found = sorted(BOOK.rglob("*.ipynb"))
    return [path for path in found if not {".ipynb_checkpoints", "_build"} & set(path.parts)]


def execute(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Run all cells in a fresh kernel of this interpreter; raises CellExecutionError."""
    # An empty list of folders leaves only this interpreter's kernel: a "python3" that another
    # environment has installed for the user is not taken by mistake.
    specs = KernelSpecManager(kernel_dirs=[])
    client = NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs),
        timeout=600,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
        # The kernel's remarks about its own transport are not the notebook's.
        extra_arguments=["--log-level=ERROR"],
    )
    client.owns_km = True  # A manager that is handed in is not shut down at the end otherwise.
    client.execute()


def strip(notebook: nbformat.NotebookNode) -> None:
    """Keep text outputs, cell ids, tags and alternative texts; number the code cells from 1."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        for key in EDITOR_STATE & set(cell.metadata):
            del cell.metadata[key]
    code_cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, cell in enumerate(code_cells, start=1):
        # A cell without a statement is never sent to the kernel and keeps no number.
        cell.execution_count = count if cell.source.strip() else None
        cell.outputs = [output for output in map(text_only, cell.outputs) if output]
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count


def text_only(output: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
    """Return the output with its plain text alone, or None if it has none."""
    if "data" in output:
        output.metadata = nbformat.from_dict({})
        output.data = nbformat.from_dict(
            {kind: text for kind, text in output.data.items() if kind == "text/plain"}
        )
        return output if output.data else None
    return output


def warnings_in(notebook: nbformat.NotebookNode) -> list[str]:
    """Return one sentence for each cell that wrote to the error stream."""
    return [
        f"cell {cell.id} wrote to the error stream:\n{output.text}"
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.get("name") == "stderr"
    ]


def run(path: Path) -> bool:
    """Execute and strip one notebook; print what happened; return whether it ran to the end."""
    before = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(before, as_version=4)
    try:
        execute(notebook, path.resolve().parent)
    except CellExecutionError as error:
        failed = next(
            cell
            for cell in notebook.cells
            if any(output.output_type == "error" for output in cell.get("outputs", []))
        )
        print(f"{path}: stopped at cell {failed.id}\n{error}", file=sys.stderr)
        return False
    strip(notebook)
    after = nbformat.writes(notebook) + "\n"
    if after != before:
        path.write_text(after, encoding="utf-8")
    print(f"{path}: {'unchanged' if after == before else 'written'}", flush=True)
    for sentence in warnings_in(notebook):
        print(f"{path}: warning: {sentence}", file=sys.stderr)
    return True


def main(arguments: list[str]) -> int:
    """Run the notebooks named, or all of them; return 1 if one of them raised."""
    # Explorers create no widget while the book is executed.
    os.environ["LESSON_TF_BOOK"] = "1"
    os.environ.setdefault("TORCH_LOGS", "-torch.utils.cpp_extension")  # see conftest.py
    paths = [Path(argument) for argument in arguments] or all_notebooks()
    failed = [path for path in paths if not run(path)]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
