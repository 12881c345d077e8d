"""Files as Docker takes them into a container."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def packed(files: Mapping[str, bytes]) -> bytes:
    """A tar archive of files by their paths; scripts (.sh) may be executed."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size, member.mode = len(content), 0o755 if path.endswith(".sh") else 0o644
            tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()
