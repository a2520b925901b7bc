from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from nplight.errors import RunFolderError
from nplight.store.json_files import check_shape, read_json


def test_what_is_no_readable_json_is_named_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.json"
    for content in (b"", b"{", b"\xff", b"[" * 100_000):
        path.write_bytes(content)
        with pytest.raises(RunFolderError, match=r"metrics\.json is damaged: .*; the same command again"):
            read_json(path)
    monkeypatch.setattr(Path, "read_bytes", lambda _: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(RunFolderError, match=r"metrics\.json cannot be read: Permission denied; make it readable, or"):
        read_json(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(RunFolderError, match=r"metrics\.json must be a file, .*; remove it, and the same command"):
        read_json(path)


def test_the_first_wrong_entry_is_named(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"search": {"steps": "many"}}')
    content = read_json(path)
    check_shape(path, content, TypeAdapter(dict[str, dict[str, str]]))
    with pytest.raises(RunFolderError, match=r"settings\.json is damaged: search\.steps: .*; start anew"):
        check_shape(path, content, TypeAdapter(dict[str, dict[str, int]]))
