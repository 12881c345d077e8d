"""Keeps what is deleted at the destination within what a person has approved (ADR 54)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.model import ItemKind
from smbferry_engine.paths import SEPARATOR, join
from smbferry_engine.plan.name_set import NameSet, key_of
from smbferry_engine.run.context import RunContext
from smbferry_engine.tree.extras import ExtrasLog
from smbferry_engine.tree.items import kind_of
from smbferry_engine.tree.removals import Removals
from smbferry_words.reasons import PLAN_CHANGED

_NOT_LISTED = (
    "expected only names of the approved plan to be deleted, got this one since that plan was made; the destination "
    "keeps it"
)
_KINDS: Final[dict[bool, ItemKind]] = {False: "File", True: "Directory"}
Name = tuple[str, bool]
"""A path at the destination, and whether it is a folder."""


@dataclass(frozen=True, slots=True)
class Approved:
    """The names that may be deleted: ``extras`` are those that only the destination has, ``replaced`` those that
    entries of another kind replace. ``extra_names`` is the digest of the former, ``retained`` are never deleted.
    """

    extras: ExtrasLog
    replaced: ExtrasLog
    retained: frozenset[str]
    extra_names: str

    @classmethod
    def of(cls, removals: Removals) -> "Approved":
        """Return what a walk has found; that takes about 30 µs a name."""
        retained = frozenset(removals.retained)
        return cls(removals.extras, removals.replaced, retained, NameSet(_listed(removals.extras, retained)).digest)

    def names(self) -> Iterator[Name]:
        """Yield all names, parents last."""
        yield from _listed(self.extras, self.retained)
        yield from _listed(self.replaced, self.retained)

    def check_replaced(self, removals: Removals) -> None:
        """Raise :class:`EngineError` if entries of another kind would be replaced that are not approved."""
        if not _keys(removals.replaced, removals.retained) <= _keys(self.replaced, self.retained):
            raise EngineError(PLAN_CHANGED, "the approved plan does not have this replacement")

    def hold_back(self, run: RunContext, removals: Removals) -> None:
        """Keep, and report as failed, what only the destination has and is not approved, with the folders above it."""
        if NameSet(_listed(removals.extras, removals.retained)).digest == self.extra_names:
            return
        approved = _keys(self.extras, self.retained)
        kept: set[str] = set()
        for path, directory in _listed(removals.extras, removals.retained):
            if key_of(path, directory=directory) not in approved:
                run.tally.fail(path, _KINDS[directory], "Delete", FileError(FileReason.NOT_APPROVED, _NOT_LISTED))
                kept.update(_with_parents(path))
        removals.retained |= kept


def _listed(log: ExtrasLog, retained: frozenset[str] | set[str]) -> Iterator[Name]:
    for extras in log.backwards():
        for entry in extras.entries:
            path = join(extras.path, entry.name)
            if path not in retained:
                yield path, kind_of(entry) == "Directory"


def _keys(log: ExtrasLog, retained: frozenset[str] | set[str]) -> set[bytes]:
    return {key_of(path, directory=directory) for path, directory in _listed(log, retained)}


def _with_parents(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition(SEPARATOR)[0]
