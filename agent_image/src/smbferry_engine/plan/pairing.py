"""Pairs two listings of one folder by name, as SMB compares names."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from smbferry_engine.errors import FileReason
from smbferry_engine.paths import case_key, is_link_to_self_or_parent, is_staging_name, name_problem, plain_keys
from smbferry_engine.wire.directory import DirectoryEntry

Pair = tuple[DirectoryEntry, DirectoryEntry | None]


@dataclass(slots=True)
class Pairing:
    """Two listings of one folder, paired by name. ``refused`` are source names that must not be copied, and why.

    ``twins`` are destination names that differ only in case from one with a counterpart at the source, on a
    case-sensitive server.
    """

    both: list[Pair] = field(default_factory=list)
    only_destination: list[DirectoryEntry] = field(default_factory=list)
    refused: list[tuple[DirectoryEntry, FileReason, str]] = field(default_factory=list)
    leftovers: list[DirectoryEntry] = field(default_factory=list)
    twins: list[tuple[DirectoryEntry, FileReason, str]] = field(default_factory=list)


def pair(source: Iterable[DirectoryEntry], destination: Iterable[DirectoryEntry]) -> Pairing:
    """Pair two listings by name, as SMB compares names, whatever the order of the servers.

    Of source names that differ only in case, the one spelled as at the destination is copied, else the first in order
    of code points; of such names at the destination, the one spelled as at the source is its counterpart. Invalid names
    of the destination are left out: smbferry creates none.
    """
    ours, our_names = _named(source)
    theirs, their_names = _named(destination)
    our_keys, their_keys = plain_keys(our_names), plain_keys(their_names)
    if our_keys is None or their_keys is None or len(set(our_keys)) != len(our_keys):
        return _pair_each(ours, theirs)
    there = dict(zip(their_keys, theirs, strict=True))
    if len(there) != len(theirs):
        return _pair_each(ours, theirs)
    counterpart = there.pop
    both = [(entry, counterpart(key, None)) for key, entry in zip(our_keys, ours, strict=True)]
    return Pairing(both, list(there.values()))


def _named(entries: Iterable[DirectoryEntry]) -> tuple[list[DirectoryEntry], list[str]]:
    """Return the entries without ``.`` and ``..``, and their names."""
    found = list(entries)
    names = [entry.name for entry in found]
    if "." in names or ".." in names:
        found = [entry for entry in found if not is_link_to_self_or_parent(entry.name)]
        names = [entry.name for entry in found]
    return found, names


def _pair_each(source: list[DirectoryEntry], destination: list[DirectoryEntry]) -> Pairing:
    """Pair names that must be checked one by one."""
    result = Pairing()
    there = _by_key(entry for entry in destination if not is_staging_name(entry.name))
    result.leftovers = [entry for entry in destination if is_staging_name(entry.name)]
    for key, same in _by_key(entry for entry in source if not is_staging_name(entry.name)).items():
        counterparts = there.pop(key, [])
        chosen = _choose(same, counterparts, result)
        counterpart = _counterpart(chosen, counterparts, result)
        problem = name_problem(chosen.name)
        if problem:
            result.refused.append((chosen, FileReason.NAME_NOT_REPRESENTABLE, problem))
        else:
            result.both.append((chosen, counterpart))
    result.only_destination = [entry for same in there.values() for entry in same if name_problem(entry.name) is None]
    return result


def _by_key(entries: Iterable[DirectoryEntry]) -> dict[str, list[DirectoryEntry]]:
    """Group entries whose names are the same to SMB, each spelling once."""
    found: dict[str, dict[str, DirectoryEntry]] = {}
    for entry in entries:
        found.setdefault(case_key(entry.name), {})[entry.name] = entry
    return {key: list(same.values()) for key, same in found.items()}


def _choose(same: list[DirectoryEntry], counterparts: list[DirectoryEntry], result: Pairing) -> DirectoryEntry:
    """Return which of the source's entries is copied; the others are refused."""
    spellings = {entry.name for entry in counterparts}
    chosen = min(same, key=lambda entry: (entry.name not in spellings, entry.name))
    for entry in sorted(same, key=lambda entry: entry.name):
        if entry is not chosen:
            message = f"{chosen.name!r} differs from it in case only and is copied instead"
            result.refused.append((entry, FileReason.CASE_COLLISION, message))
    return chosen


def _counterpart(chosen: DirectoryEntry, counterparts: list[DirectoryEntry], result: Pairing) -> DirectoryEntry | None:
    """Return which of the destination's entries is the same name; the others are twins."""
    if not counterparts:
        return None
    counterpart = min(counterparts, key=lambda entry: (entry.name != chosen.name, entry.name))
    for entry in sorted(counterparts, key=lambda entry: entry.name):
        if entry is not counterpart:
            message = f"the destination also has {counterpart.name!r}, which differs in case only; it is not deleted"
            result.twins.append((entry, FileReason.CASE_COLLISION, message))
    return counterpart
