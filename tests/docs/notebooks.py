"""The notebooks of docs/tutorials, run in this process.

    python -m tests.docs.notebooks

runs them all and stores what their cells print.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
NOTEBOOKS = sorted((ROOT / "docs" / "tutorials").glob("*.ipynb"))


def read(path: Path) -> dict[str, Any]:
    """The content of a notebook."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells with code."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run(notebook: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The outputs of each code cell, run in order with common names, in an empty folder."""
    names: dict[str, Any] = {"__name__": "__main__"}
    with tempfile.TemporaryDirectory() as folder, working_in(Path(folder)):
        return [outputs("".join(cell["source"]), names) for cell in code_cells(notebook)]


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """The folder is the working directory."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def outputs(source: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    """What a cell prints, and the value of its last line, in the notebook's format."""
    *statements, last = ast.parse(source).body
    expression = isinstance(last, ast.Expr)
    body = ast.Module(body=statements if expression else [*statements, last], type_ignores=[])
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(body, "<cell>", "exec"), names)
        if expression:
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)  # type: ignore[attr-defined]
    streams = [{"output_type": "stream", "name": "stdout", "text": lines(printed.getvalue())}] if printed.tell() else []
    return streams if value is None else [*streams, result(value)]


def result(value: Any) -> dict[str, Any]:
    """The output of a value: its text, and of a Matplotlib figure its picture."""
    data: dict[str, Any] = {"text/plain": lines(repr(value))}
    if hasattr(value, "savefig"):
        picture = io.BytesIO()
        value.savefig(picture, format="png")
        data["image/png"] = base64.b64encode(picture.getvalue()).decode()
    return {"output_type": "execute_result", "execution_count": None, "metadata": {}, "data": data}


def lines(text: str) -> list[str]:
    """The lines of a text with their ends."""
    return text.splitlines(keepends=True)


def store(path: Path) -> None:
    """Run a notebook and write what its cells print into it."""
    notebook = read(path)
    for cell, shown in zip(code_cells(notebook), run(notebook)):
        cell["outputs"], cell["execution_count"] = shown, None
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for path in NOTEBOOKS:
        store(path)
