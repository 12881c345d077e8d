"""One compressed file of many, with an index. Pure: the same content is the same file."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

INDEX: Final = "index.json"


@dataclass(slots=True)
class Contents:
    """What was collected, and what could not be."""

    files: dict[str, bytes] = field(default_factory=dict)
    missing: list[dict[str, str]] = field(default_factory=list)

    def add(self, path: str, text: str) -> None:
        """Adds a text."""
        self.files[path] = text.encode(errors="backslashreplace")

    def add_json(self, path: str, value: Any) -> None:
        """Adds a value as JSON."""
        self.add(path, json.dumps(value, indent=2, sort_keys=True) + "\n")

    def miss(self, what: str, why: str) -> None:
        """Notes what the bundle does not contain."""
        self.missing.append({"what": what, "why": why})


def packed(folder: str, contents: Contents, about: Mapping[str, Any]) -> bytes:
    """The .tar.gz with all files below a folder, sorted by name after the index.

    Args:
        about: further fields of the index.
    """
    listed = [
        {"path": path, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for path, content in sorted(contents.files.items())
    ]
    index = {**about, "files": listed, "missing": contents.missing}
    first = (INDEX, (json.dumps(index, indent=2) + "\n").encode())
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in (first, *sorted(contents.files.items())):
            entry = tarfile.TarInfo(f"{folder}/{path}")
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), mtime=0)
