"""Which runs a change may concern, and whether it changes anything that others see of them.

Agents report progress every few seconds, checks renew statuses every hour: of all that, only a few facts decide about
the claims of runs. What does not change them costs one comparison.
"""

from typing import Any, Final

from smbferry_api.conditions import ConditionType
from smbferry_operator.model import Key, Kind, Manifest
from smbferry_operator.observe.cache import Cache

GONE: Final = ("gone",)


class Facts:
    """The facts of all objects as they were looked at last."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._known: dict[Key, Any] = {}

    def changed(self, key: Key) -> bool:
        """Whether the facts of the object have changed since the last call for it."""
        facts = self._facts(key)
        if self._known.get(key, GONE) == facts:
            return False
        if facts == GONE:
            del self._known[key]
        else:
            self._known[key] = facts
        return True

    def owners(self, key: Key) -> frozenset[Key]:
        """Of a Job or a pod: the objects that it works for, or worked for before `changed` was called last."""
        before = self._known.get(key, GONE)
        known = frozenset() if before == GONE else before[0]
        return known | self._cache.references_of(key)

    def _facts(self, key: Key) -> Any:
        body = self._cache.get(key)
        if body is None:
            return GONE
        meta, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
        match key.kind:
            case Kind.JOB | Kind.POD:
                return (self._cache.references_of(key), meta.get("resourceVersion"))
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
