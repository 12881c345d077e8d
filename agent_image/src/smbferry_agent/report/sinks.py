"""Where a status is written: the protocol, and a file. `api_client` has the status of an object in the cluster."""

import json
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel


class StatusSink(Protocol):
    """Receives the agent's part of an object's status, complete each time."""

    def write(self, status: dict[str, Any]) -> None:
        """Stores the status.

        Raises:
            AgentError: it could not be stored now; the caller may retry with a newer status.
            ObjectNotFoundError: the object does not exist any more.
        """


class FileSink:
    """A JSON file, replaced atomically."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, status: dict[str, Any]) -> None:
        """Writes a temporary file, then renames it, so that a reader never sees a partial status."""
        partial = self._path.with_name(self._path.name + ".partial")
        partial.write_text(json.dumps(status, indent=2, ensure_ascii=False) + "\n")
        partial.replace(self._path)


def status_fields(status: BaseModel) -> dict[str, Any]:
    """The fields of a status that were set, by their names in the API; other fields have other owners."""
    return status.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
