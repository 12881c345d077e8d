"""A private folder in memory for files that libkrb5 needs: credential caches, the rendered krb5.conf, one key."""

import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self


class Scratch:
    """A folder of mode 0700 with files of mode 0600; leaving the context overwrites and removes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        self._folder.parent.mkdir(mode=0o700, exist_ok=True)  # not its parents: what was wiped must not come back
        self._folder.mkdir(mode=0o700, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._folder.iterdir():
            wipe(file)
        shutil.rmtree(self._folder)

    @property
    def ccache(self) -> Path:
        """The credential cache."""
        return self._folder / "ccache"

    @property
    def krb5_config(self) -> Path:
        """The rendered krb5.conf that names the real KDCs."""
        return self._folder / "krb5.conf"

    @property
    def relay_config(self) -> Path:
        """The rendered krb5.conf that names the loopback relay."""
        return self._folder / "relay.conf"

    def file(self, name: str) -> Path:
        """A file of any other name."""
        return self._folder / name

    @staticmethod
    def write(path: Path, data: bytes) -> None:
        """Writes a private file atomically."""
        partial = path.with_name(path.name + ".partial")
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        partial.replace(path)


def wipe(path: Path) -> None:
    """Overwrites a file with zeros and removes it; succeeds if it does not exist."""
    try:
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
    except FileNotFoundError:
        return
    path.unlink(missing_ok=True)
