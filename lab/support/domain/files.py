"""Runs inside the domain controller, within `inside.py`: makes and lists trees where the shares lie.

Standard library only. Names have lone surrogates for bytes that are not UTF-8.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLOCK = 1 << 20


def blocks(path: str, size: int, version: int) -> Iterator[bytes]:
    """The content of a file of `size` bytes: the same for the same path and version, all of it different for others."""
    state = hashlib.sha256(os.fsencode(f"{path}\0{version}")).digest()
    while size > 0:
        part = hashlib.shake_128(state).digest(min(BLOCK, size))
        state = part[:32]
        size -= len(part)
        yield part


def seed(root: str, entries: Iterable[tuple[str, str, int, int, str | None]]) -> None:
    """Make each entry, of a path, a kind, a size, a version and a text, below `root`; everyone may change them."""
    for path, kind, size, version, text in entries:
        target = Path(root, path)
        if kind == "directory":
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as sink:
                if text is None:
                    sink.writelines(blocks(path, size, version))
                else:
                    sink.write(text.encode("utf-8", "surrogateescape"))
    for directory, _, files in os.walk(root):
        Path(directory).chmod(0o777)
        for name in files:
            Path(directory, name).chmod(0o666)


def listing(root: str) -> dict[str, tuple[str, int, str | None, int]]:
    """Path below `root` → kind, size in bytes, SHA-256, time of last write in nanoseconds.

    What goes away meanwhile is not there.
    """
    found = {}
    for directory, folders, files in os.walk(root):
        for name in folders + files:
            path = Path(directory, name)
            with contextlib.suppress(FileNotFoundError):
                found[str(path.relative_to(root))] = _entry(path)
    return found


def _entry(path: Path) -> tuple[str, int, str | None, int]:
    state = path.lstat()
    if stat.S_ISLNK(state.st_mode) or stat.S_ISDIR(state.st_mode):
        return ("directory" if stat.S_ISDIR(state.st_mode) else "link", 0, None, state.st_mtime_ns)
    with path.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
    return ("file", state.st_size, digest, state.st_mtime_ns)
