"""Turns at an identity's key, by a field of its status that one agent at a time can set."""

import logging
import time
import uuid
from typing import Any, Final

from smbferry_agent.errors import AgentError
from smbferry_agent.logs import fields
from smbferry_agent.manifests import previous_status
from smbferry_agent.preflight.key_turn import Tried
from smbferry_agent.report.api_client import (
    ApiClient,
    ConflictError,
    ObjectKey,
    ObjectNotFoundError,
    PermissionWithdrawnError,
)
from smbferry_agent.report.object_status import ObjectStatus
from smbferry_agent.report.sinks import status_fields
from smbferry_api.identity import KerberosIdentityStatus, KeyUse

_log = logging.getLogger(__name__)
_PAUSE: Final = 0.25
_FOR_GOOD: Final = (ObjectNotFoundError, PermissionWithdrawnError)
_LEFT_BEHIND: Final = 12.0
"""Seconds after which a turn has expired: no exchange with a KDC that has just answered takes longer."""
_PATIENCE: Final = 20.0
"""Seconds after which an agent stops waiting: it must report within half a minute."""


class ClusterTurn:
    """A `KeyTurn` in the identity's status."""

    def __init__(self, client: ApiClient, key: ObjectKey) -> None:
        self._client = client
        self._key = key
        self._holder = str(uuid.uuid4())
        self._held: ObjectStatus | None = None
        self._before: KeyUse | None = None

    def begin(self) -> KerberosIdentityStatus | None:
        """Waits for the turn, for a limited time; continues without it if the API server refuses."""
        began = time.monotonic()
        others: tuple[str, float] | None = None  # the holder, and since when this agent sees it
        while True:
            now = time.monotonic()
            try:
                manifest = self._client.get(self._key)
                holder = _holder(manifest)
                if others is None or others[0] != holder:
                    others = (holder, now)
                if not holder or now - others[1] > _LEFT_BEHIND or now - began > _PATIENCE:
                    return self._take(manifest)
            except ConflictError:
                pass  # another agent was faster, or the status changed: read it again
            except (AgentError, ObjectNotFoundError) as error:
                if now - began > _PATIENCE or isinstance(error, _FOR_GOOD):
                    _log.warning("trying the key out of turn: %s", error, extra=fields(identity=self._key.name))
                    return None
            time.sleep(_PAUSE)

    def _take(self, manifest: dict[str, Any]) -> KerberosIdentityStatus | None:
        identity = ObjectStatus.of(self._client, self._key, manifest)
        identity.merge_into(manifest, {"keyUse": {"holder": self._holder}})
        self._held = identity
        status = previous_status(KerberosIdentityStatus, manifest)
        self._before = status.key_use
        return status

    def end(self, tried: Tried | None) -> None:
        """Ends the turn, and records the KDC's answer."""
        identity, self._held = self._held, None
        if identity is None:
            return
        use: dict[str, Any] = {"holder": None}
        if tried is not None:
            use |= {"refused": None, "wrong": None} | status_fields(tried.after(self._before))
        try:
            identity.merge({"keyUse": use})
        except (AgentError, ObjectNotFoundError) as error:  # the turn expires
            _log.warning("could not end the turn: %s", error, extra=fields(identity=self._key.name))


def _holder(manifest: dict[str, Any]) -> str:
    use = (manifest.get("status") or {}).get("keyUse") or {}
    return str(use.get("holder") or "")
