"""One protocol for all places that a status can go to."""

import json
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel

from smbferry_agent.report.api_client import ApiClient, ObjectKey


class StatusSink(Protocol):
    """Takes the agent's part of an object's status, whole each time."""

    def write(self, status: dict[str, Any]) -> None:
        """Stores the status.

        Raises:
            AgentError: it could not be stored now; the caller may try again with a newer one.
            ObjectNotFoundError: there is no object any more.
        """


class ClusterSink:
    """The status subresource of one object."""

    def __init__(self, client: ApiClient, key: ObjectKey) -> None:
        self._client = client
        self._key = key

    def write(self, status: dict[str, Any]) -> None:
        """Applies it as the agent's field manager."""
        self._client.apply_status(self._key, status)


class FileSink:
    """A JSON file, replaced whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, status: dict[str, Any]) -> None:
        """Writes beside the file, then renames: a reader never sees half of it."""
        partial = self._path.with_name(self._path.name + ".partial")
        partial.write_text(json.dumps(status, indent=2, ensure_ascii=False) + "\n")
        partial.replace(self._path)


def status_fields(status: BaseModel) -> dict[str, Any]:
    """A status model as the API spells it, with only those fields that were set: the others belong to others."""
    return status.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
