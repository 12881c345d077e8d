"""The status of one object, never of another object that has its name now.

An object may be deleted and created again while an agent works. Its successor must not inherit a verdict or a result.
The API server ignores a uid in the status of a custom resource, but not a resourceVersion. So each write names the
version of an object with the expected uid; if another write was faster, the object is read again.
"""

import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from smbferry_agent.report.api_client import ApiClient, ConflictError, ObjectKey, ObjectNotFoundError
from smbferry_api.fields import Status
from smbferry_api.names import FIELD_MANAGER_AGENT

_log = logging.getLogger(__name__)
StatusT = TypeVar("StatusT", bound=Status)
_TRIES: Final = 12
_PAUSE: Final = 0.05  # seconds at most after the first conflict; longer by as much after each further one


def recorded_in(manifest: Mapping[str, Any], field: str, model: type[StatusT]) -> StatusT | None:
    """What agents have recorded in a field of an object's status; None if there is nothing, or nothing readable."""
    written = (manifest.get("status") or {}).get(field)
    if not written:
        return None
    try:
        return model.model_validate(written)
    except ValidationError:
        _log.warning("ignoring an unreadable status.%s", field)
        return None


class ObjectStatus:
    """A StatusSink: the status subresource of the object with this uid. Thread-safe."""

    def __init__(self, client: ApiClient, key: ObjectKey, uid: str, version: str = "") -> None:
        self._client = client
        self.key = key
        self._uid = uid
        self._version = version
        """The last known one of the object with this uid; empty if unknown."""

    @classmethod
    def of(cls, client: ApiClient, key: ObjectKey, manifest: dict[str, Any]) -> "ObjectStatus":
        """The status of the object that was read as ``manifest``."""
        return cls(client, key, str(manifest["metadata"]["uid"]), _version_of(manifest))

    def read(self) -> dict[str, Any]:
        """Reads the object.

        Raises:
            ObjectNotFoundError: it does not exist, or another object has its name.
            AgentError: the API server is unreachable, or refuses.
        """
        manifest = self._client.get(self.key)
        if manifest["metadata"]["uid"] != self._uid:
            raise ObjectNotFoundError(f"{self.key} was deleted; another object has its name.")
        return manifest

    def write(self, status: dict[str, Any]) -> None:
        """Applies it as the agent's field manager. Raises as `apply` does."""
        self.apply(status)

    def apply(self, status: dict[str, Any], manager: str = FIELD_MANAGER_AGENT) -> None:
        """Writes a field manager's part of the status; fields that it leaves out are removed.

        Raises:
            ObjectNotFoundError: the object does not exist, or another object has its name.
            AgentError: the API server is unreachable, or refuses.
        """
        self._insisting(lambda version: self._client.apply_status(self.key, status, version, manager))

    def merge(self, status: dict[str, Any]) -> None:
        """Changes single fields of the status; None removes a field. Raises as `apply` does."""
        self._insisting(lambda version: self._client.merge_status(self.key, status, version))

    def merge_into(self, manifest: dict[str, Any], status: dict[str, Any]) -> None:
        """Changes single fields of the status unless the object has changed since it was read as ``manifest``.

        Raises:
            ConflictError: it has changed.
            ObjectNotFoundError: the object does not exist.
            AgentError: the API server is unreachable, or refuses.
        """
        self._version = _version_of(self._client.merge_status(self.key, status, _version_of(manifest)))

    def _insisting(self, write: Callable[[str], dict[str, Any]]) -> None:
        """Writes, and repeats it while other writers are faster: the operator, and the other agents of a run."""
        for attempt in range(1, _TRIES):
            try:
                self._version = _version_of(write(self._version or _version_of(self.read())))
            except ConflictError:
                self._version = ""
                time.sleep(random.uniform(0, _PAUSE * attempt))
            else:
                return
        self._version = _version_of(write(_version_of(self.read())))


def _version_of(manifest: dict[str, Any]) -> str:
    return str(manifest["metadata"]["resourceVersion"])
