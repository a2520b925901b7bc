"""What the site shows besides the Markdown pages: notebooks as pages, and links to files of the repository's root."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

# Root file -> its page; links between pages are those that work in the repository too.
_PAGES = {"CONTRIBUTING.md": "project/contributing.md", "CHANGELOG.md": "project/changelog.md"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for every notebook, beside the notebook itself."""
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb")]:
        if notebook.abs_src_path is None:
            raise TypeError(f"{notebook.src_uri} must be a file")
        uri = notebook.src_uri.removesuffix(".ipynb") + ".md"
        files.append(File.generated(config, uri, content=notebook_page(Path(notebook.abs_src_path))))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to notebooks, and to files of the root, to their pages."""
    up = "../" * page.file.src_uri.count("/")
    for name, target in _PAGES.items():
        markdown = markdown.replace(f"]({up}../{name}", f"]({up}{target}")
    return re.sub(r"\]\(([\w/.]+)\.ipynb\)", r"](\1.md)", markdown)


def notebook_page(path: Path) -> str:
    """The Markdown of a notebook: its text, its code and what the code printed."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    title, *rest = (part for cell in cells for part in cell_parts(cell))
    download = f'<a href="{path.name}" download>Download this notebook</a>; a test of the project runs it.'
    return "\n\n".join([title, download, *rest]) + "\n"


def cell_parts(cell: dict[str, Any]) -> list[str]:
    """The Markdown of one cell."""
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return [source]
    return [f"```python\n{source}\n```", *(shown(output) for output in cell["outputs"])]


def shown(output: dict[str, Any]) -> str:
    """What a cell printed, or the picture it drew."""
    data = output.get("data", {})
    if "image/png" in data:
        encoded = "".join(data["image/png"]).replace("\n", "")
        return f'<img alt="The figure that the code above draws" src="data:image/png;base64,{encoded}">'
    text = "".join(output["text"] if "text" in output else data["text/plain"])
    return f"```text\n{text.rstrip()}\n```"
