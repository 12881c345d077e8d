"""What holds after every run, whatever went wrong in it, as a witness sees it who is not the engine but the server.

I1  No final name holds partial data: every file at the destination is one that the source has, or that was there.
I2  What the run says it transferred is the same on both sides by hash, and Succeeded means that nothing failed.
I3  No key and no ticket is in anything that the run told: errors, failures, records, evidence, logs.
I4  A failure has a reason that is a word of ours with a remedy, within a bounded time, and no phase stays running.
I5  The source, what lies beside both folders and the shares' roots are as they were.
I6  One writer per destination is the operator's to decide (tests/unit/operator/test_destination.py); a run refuses
    folders that overlap (tests/unit/engine/test_decisions.py).
I8  What the run says it transferred has the source's owner, group, lists, control bits, attributes and times, and so
    has the root of a run that Succeeded: by the server's own store, where it keeps such (the member server's).
I7  Only a run that lost its network leaves a staging file; `Bench.finish` shows that the next one goes on in it.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lab.support.cluster.leaks import leaks
from lab.support.domain.member import Member

from smbferry_engine import (
    EngineError,
    FailureClass,
    FileReason,
    Options,
    Outcome,
    Preservation,
    Result,
    SecurityDescriptors,
)
from smbferry_engine.paths import STAGING_PREFIX
from smbferry_engine.sids import sid_text
from smbferry_words import reasons
from smbferry_words.reason import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.domain.machine import Directory
    from lab.support.domain.member import Shown
    from lab.support.domain.trees import Tree
    from tests.interop.engine.tickets import Tickets, Watcher

KNOWN = frozenset(value.name for value in vars(reasons).values() if isinstance(value, Reason) and value.failure)
CARRIED_BITS = 0x0400 | 0x1000  # SE_DACL_AUTO_INHERITED, SE_DACL_PROTECTED
CARRIED_ATTRIBUTES = 0x0001 | 0x0002 | 0x0004  # read-only, hidden, system; the archive bit of folders is Samba's own
UNSPECIFIC = frozenset({"InternalError", FileReason.FILE_FAILED})


class Folders(Protocol):
    """The two folders of a run, those beside them, and what the run told its observer."""

    tickets: Tickets
    source: Directory
    destination: Directory
    beside: tuple[Directory, ...]
    watcher: Watcher


@dataclass(frozen=True)
class Expected:
    """What a test expects to be otherwise: seconds that a failing run may take, and what it may change or leave."""

    within: float = 60.0
    source_moves: bool = False
    leaves_staging_files: bool = False


@dataclass(frozen=True)
class Look:
    """Both trees and the folders beside them, as they lie on the server's disks."""

    source: Tree
    destination: Tree
    beside: tuple[Tree, ...]

    @classmethod
    def at(cls, bench: Folders) -> Look:
        source, destination, *beside = bench.source.domain.trees(bench.source, bench.destination, *bench.beside)
        return cls(source, destination, tuple(beside))

    @property
    def staging_files(self) -> list[str]:
        """StagingFile files at the destination."""
        return [path for path in self.destination if is_staging_name(path)]


class Witness:
    """Looks before a run, and judges what it finds after it."""

    def __init__(self, bench: Folders, expected: Expected) -> None:
        self._bench = bench
        self._expected = expected
        self._before = Look.at(bench)
        self._began = time.monotonic()

    def judge(self, options: Options, result: Result | None, error: EngineError | None, log: list[str]) -> None:
        """Raises AssertionError with the invariant that does not hold."""
        seconds = time.monotonic() - self._began
        after = Look.at(self._bench)
        no_partial_data(self._before, after)
        hashes_agree(self._bench, self._before, after, result)
        if result is not None and not self._expected.source_moves:
            metadata_agrees(self._bench, options, result)
        no_secrets(self._bench, f"{error} {result} {' '.join(log)}")
        reasons_are_specific(self._bench, error)
        assert error is None or seconds <= self._expected.within, f"I4: it took {seconds:.0f} s to fail"
        nothing_else_touched(self._bench, self._before, after, source_moves=self._expected.source_moves)
        resumable = error is not None and error.failure_class is FailureClass.NETWORK
        assert resumable or self._expected.leaves_staging_files or not after.staging_files, f"I7: {after.staging_files}"


def is_staging_name(path: str) -> bool:
    """Whether a path is that of a staging file of ours."""
    return path.rpartition("/")[2].startswith(STAGING_PREFIX)


def no_partial_data(before: Look, after: Look) -> None:
    """I1."""
    allowed = defaultdict(set)
    for tree in (before.source, after.source, before.destination):
        for path, entry in tree.items():
            allowed[path.casefold()].add(entry.sha256)
    for path, entry in after.destination.items():
        if entry.kind == "file" and not is_staging_name(path) and not _through_link(path, after.source):
            assert entry.sha256 in allowed[path.casefold()], f"I1: {path!r} is neither the source's nor the old one"


def hashes_agree(bench: Folders, before: Look, after: Look, result: Result | None) -> None:
    """I2."""
    copied = [r for r in bench.watcher.records if r.action == "Transferred" and r.digest is not None]
    for record in copied:
        path = record.path[1:]
        if not _through_link(path, after.source):
            ours = {tree[path].sha256 for tree in (before.source, after.source) if path in tree}
            assert after.destination[path].sha256 in ours, f"I2: {path!r} was said to be transferred"
    if result is not None:
        assert result.counters.files.transferred >= len(copied), "I2: fewer files counted than recorded"
        assert (result.outcome is Outcome.SUCCEEDED) == (bench.watcher.failures == []), "I2: outcome and failures"


def metadata_agrees(bench: Folders, options: Options, result: Result) -> None:
    """I8."""
    machine = bench.source.domain
    # With `include` the root leads to what was chosen, and is not chosen itself.
    done = result.outcome is Outcome.SUCCEEDED and not options.dry_run and not options.include
    if not isinstance(machine, Member):
        return
    ours, theirs = machine.look(bench.source), machine.look(bench.destination)
    told = {record.path[1:] for record in bench.watcher.records if record.action == "Transferred"}
    told -= {failure.path[1:] for failure in bench.watcher.failures}
    for path in (told | ({""} if done else set())) & ours.keys():
        for part, one, other in _compared(options, ours[path], theirs[path]):
            assert one == other, f"I8: {path!r} has another {part}: {one} at the source, {other} at the destination"


def _compared(options: Options, ours: Shown, theirs: Shown) -> Iterator[tuple[str, object, object]]:
    """What these options carry over, on both sides. A file that we seeded has only what somebody set since."""
    if options.security_descriptors is not SecurityDescriptors.NONE:
        parts = ["owner", "group", "dacl"]
        parts += ["sacl"] if options.security_descriptors is SecurityDescriptors.OWNER_DACL_SACL else []
        yield from ((part, with_new_sids(options, ours[part]), theirs[part]) for part in parts)
        yield "control bits", ours["control"] & CARRIED_BITS, theirs["control"] & CARRIED_BITS
    if options.timestamps is Preservation.PRESERVE:
        yield "time of writing", ours["written"] // 100, theirs["written"] // 100
        if ours["created"] is not None:
            yield "time of creation", ours["created"], theirs["created"]
    if options.attributes is Preservation.PRESERVE and ours["attributes"] is not None:
        yield "attributes", ours["attributes"] & CARRIED_ATTRIBUTES, (theirs["attributes"] or 0) & CARRIED_ATTRIBUTES


def with_new_sids(options: Options, shown: object) -> object:
    """What a server's store shows, with each domain of the SID map in its texts replaced."""
    if isinstance(shown, list):
        return [with_new_sids(options, each) for each in shown]
    if isinstance(shown, str):
        for old, new in options.sid_map.rules:
            shown = shown.replace(sid_text(old), sid_text(new))
    return shown


def _through_link(path: str, source: Tree) -> bool:
    """Whether a path leads through a link of the source's, which the server resolves by itself."""
    parts = path.split("/")
    ways = ("/".join(parts[: n + 1]) for n in range(len(parts)))
    return any(way in source and source[way].kind == "link" for way in ways)


def no_secrets(bench: Folders, said: str) -> None:
    """I3."""
    watcher = bench.watcher
    text = f"{said} {watcher.failures} {watcher.records} {watcher.phases} {watcher.evidence}"
    assert leaks(text.encode(errors="backslashreplace"), bench.tickets.secrets()) == [], "I3: a secret was told"


def reasons_are_specific(bench: Folders, error: EngineError | None) -> None:
    """I4, but for the time."""
    if error is not None:
        assert error.reason in KNOWN - UNSPECIFIC, f"I4: {error}"
        assert error.message, "I4: no message"
        assert error.remedy, "I4: no remedy"
    for failure in bench.watcher.failures:
        assert failure.reason in set(FileReason) - UNSPECIFIC, f"I4: {failure}"
    states = dict(bench.watcher.phases)
    assert "Running" not in states.values(), f"I4: {states}"


def nothing_else_touched(bench: Folders, before: Look, after: Look, *, source_moves: bool) -> None:
    """I5."""
    assert source_moves or after.source == before.source, "I5: the source was changed"
    assert after.beside == before.beside, "I5: something beside was changed"
    ours = {path.split("/")[0] for path in (*before.source, *after.source, *after.destination)}
    root = bench.destination.inside.rpartition("/")[0]
    names = bench.destination.domain.run("ls", "-A", root).output.decode(errors="surrogateescape").splitlines()
    stray = [name for name in names if name in ours or name.startswith(STAGING_PREFIX)]
    assert stray == [], f"I5: {stray} beside the destination"


@contextlib.contextmanager
def logged() -> Iterator[list[str]]:
    """Everything that is logged within, down to debug."""
    lines: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(logging.Formatter().format(record))

    keeper, level = Keeper(), logging.root.level
    logging.root.addHandler(keeper)
    logging.root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        logging.root.setLevel(level)
        logging.root.removeHandler(keeper)
