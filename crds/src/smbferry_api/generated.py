"""Writes or checks files that are generated from the models."""

import sys
from collections.abc import Mapping
from pathlib import Path


def write(files: Mapping[Path, str], *, check: bool) -> int:
    """Writes and lists the files that differ. With ``check``, only lists them, and returns 1 if there are any."""
    stale = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], encoding="utf-8")
        sys.stdout.write(f"{path}: {'out of date; run make generate' if check else 'written'}\n")
    return 1 if check and stale else 0
