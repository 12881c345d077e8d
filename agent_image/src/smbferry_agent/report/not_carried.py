"""What the destination did not get, by kind, in bounded memory. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from smbferry_api import run_status as api
from smbferry_engine import NotCarried
from smbferry_words.run import SEEN_BY_EVERY_WALK

_MAX_PATH: Final = 1024
_MAX_REASON: Final = 300
_MAX_SHARD_PATH: Final = 100
_MAX_SHARD_REASON: Final = 120


@dataclass(slots=True)
class _Kind:
    reason: str
    count: int = 0
    paths: list[str] = field(default_factory=list)


class NotCarriedTally:
    """Counts items by kind, and keeps the first paths and the first reason of each kind.

    `before` are sums of a run's other agents. Kinds that this agent reports once more are counted once.
    """

    def __init__(self, before: Iterable[api.NotCarried] = ()) -> None:
        found = together(before)
        self._at_least = {sum_.what: sum_ for sum_ in found if sum_.what in SEEN_BY_EVERY_WALK}
        self._kinds: dict[str, _Kind] = {
            sum_.what: _Kind(sum_.reason, sum_.count, list(sum_.paths))
            for sum_ in found
            if sum_.what not in SEEN_BY_EVERY_WALK
        }

    def add(self, item: NotCarried) -> None:
        """Adds one item."""
        kind = self._kinds.get(item.what) or self._kinds.setdefault(item.what, _Kind(item.reason[:_MAX_REASON]))
        kind.count += 1
        if len(kind.paths) < api.MAX_LISTED_NOT_CARRIED:
            kind.paths.append(item.path[:_MAX_PATH])

    def sums(self) -> tuple[api.NotCarried, ...]:
        """The sum of each kind, in order of names."""
        own = {
            what: api.NotCarried(what=what, count=kind.count, reason=kind.reason, paths=tuple(kind.paths))
            for what, kind in self._kinds.items()
        }
        for what, told in self._at_least.items():
            if what not in own or own[what].count < told.count:
                own[what] = told
        return tuple(own[what] for what in sorted(own))


def together(sums: Iterable[api.NotCarried]) -> tuple[api.NotCarried, ...]:
    """The sums of several agents as one per kind."""
    found: dict[str, api.NotCarried] = {}
    for one in sums:
        before = found.get(one.what)
        found[one.what] = (
            one
            if before is None
            else before.model_copy(
                update={
                    "count": before.count + one.count,
                    "paths": (*before.paths, *one.paths)[: api.MAX_LISTED_NOT_CARRIED],
                }
            )
        )
    return tuple(found[what] for what in sorted(found))


def shortened(sums: Iterable[api.NotCarried]) -> tuple[api.NotCarried, ...]:
    """Each kind with at most its first path, for the status of a shard."""
    return tuple(
        sum_.model_copy(
            update={
                "reason": sum_.reason[:_MAX_SHARD_REASON],
                "paths": tuple(path[:_MAX_SHARD_PATH] for path in sum_.paths[:1]),
            }
        )
        for sum_ in sums
    )
