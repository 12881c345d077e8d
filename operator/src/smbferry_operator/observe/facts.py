"""Which runs a change may concern, and whether it changes anything that others see of them.

Agents report progress every few seconds, checks renew statuses every hour: of all that, only a few facts decide about
the claims of runs. What does not change them costs one comparison.
"""

from hashlib import blake2b
from typing import Any, Final

from smbferry_api.conditions import ConditionType
from smbferry_operator.model import Key, Kind, Manifest
from smbferry_operator.observe.cache import Cache

AGENTS: Final = frozenset({Kind.JOB, Kind.POD})
DIGEST_BYTES: Final = 16


class Facts:
    """The facts of all objects as they were looked at last; only their hashes are kept."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._known: dict[Key, bytes] = {}
        self._owner: dict[Key, Key] = {}

    def changed(self, key: Key) -> bool:
        """Whether the facts of the object have changed since the last call for it; of a Job or a pod all is a fact."""
        if key.kind in AGENTS:
            self._note_owner(key)
            return True
        facts = self._facts(key)
        if self._known.get(key) == facts:
            return False
        if facts is None:
            del self._known[key]
        else:
            self._known[key] = facts
        return True

    def owners(self, key: Key) -> frozenset[Key]:
        """Of a Job or a pod: the runs that it works for, or worked for before `changed` was called last."""
        known = {self._owner[key]} if key in self._owner else set()
        return frozenset({*known, *self._runs(key)})

    def _note_owner(self, key: Key) -> None:
        self._owner.pop(key, None)
        for owner in self._runs(key):
            self._owner[key] = owner

    def _runs(self, key: Key) -> list[Key]:
        return [owner for owner in self._cache.references_of(key) if owner.kind is Kind.RUN]

    def _facts(self, key: Key) -> bytes | None:
        body = self._cache.get(key)
        if body is None:
            return None
        return blake2b(repr(self._read(key, body)).encode(), digest_size=DIGEST_BYTES).digest()

    def _read(self, key: Key, body: Manifest) -> tuple[Any, ...]:
        meta, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
        match key.kind:
            case Kind.RUN:
                return (meta["uid"], spec, meta.get("deletionTimestamp"), *_of_run(status))
            case Kind.LOCATION:
                ready = _condition(status, ConditionType.READY)
                opened = (ready.get("status"), ready.get("observedGeneration"))
                server = (status.get("server") or {}).get("guid")
                gone = bool(meta.get("deletionTimestamp"))
                return (meta.get("generation"), gone, spec, opened, server, status.get("dfsTarget"))
            case _:
                return (meta["uid"], spec)


def _of_run(status: Manifest) -> tuple[Any, ...]:
    security = status.get("security") or {}
    opened = tuple(bool((security.get(side) or {}).get("dialect")) for side in ("source", "destination"))
    return (status.get("state"), _condition(status, ConditionType.SUCCEEDED).get("reason"), opened)


def _condition(status: Manifest, type_: ConditionType) -> Manifest:
    return next((c for c in status.get("conditions") or () if c.get("type") == type_), {})
