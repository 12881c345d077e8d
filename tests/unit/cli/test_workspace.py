"""The folder of keys and tickets: it is gone after a wipe, whatever else is done in it at the time."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import pytest

from smbferry_cli.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 150


@pytest.mark.fault(219)
def test_a_wipe_removes_everything_while_another_thread_makes_and_removes_files(tmp_path: Path) -> None:
    """As at a second signal: the first one has the main thread end its tickets at the same time."""
    for _ in range(ROUNDS):
        workspace = Workspace({"XDG_RUNTIME_DIR": str(tmp_path)})
        workspace.__enter__()
        folder, over = workspace.folder, threading.Event()
        (folder / "keytab").write_bytes(b"key")

        def busy(folder: Path = folder, over: threading.Event = over) -> None:
            while not over.is_set():
                with contextlib.suppress(OSError):
                    (folder / "tickets").mkdir()
                    for name in "abcdef":
                        (folder / "tickets" / name).write_bytes(b"ticket")
                    for name in "abcdef":
                        (folder / "tickets" / name).unlink()
                    (folder / "tickets").rmdir()

        other = threading.Thread(target=busy)
        other.start()
        try:
            workspace.wipe()
            assert list(tmp_path.iterdir()) == []
        finally:
            over.set()
            other.join()
