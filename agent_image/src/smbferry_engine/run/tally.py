"""What a run counts and reports: counters, failures, records, phases."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from smbferry_engine.errors import FileError
from smbferry_engine.model import (
    ByteCounters,
    Counters,
    FileFailure,
    FilePhase,
    FileRecord,
    ItemCounters,
    ItemKind,
    NotCarried,
    Observer,
)
from smbferry_engine.paths import display
from smbferry_engine.plan.attachments import Lost
from smbferry_engine.plan.decide import Action
from smbferry_engine.run.room import Room
from smbferry_engine.run.sids import SidTally
from smbferry_engine.share.sid_translation import Translated
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_words.run import NotCarriedKind, PhaseName, PhaseState

ActionWord = Literal["Transferred", "Skipped", "Verified", "Deleted"]
_LEFT_OUT: Final = {
    "Link": (NotCarriedKind.LINK, "links are not copied (options.links)"),
    "SystemFolder": (
        NotCarriedKind.SYSTEM_FOLDER,
        "folders of the server's own are not copied (options.systemFolders)",
    ),
}
_WINDOW = 10.0
_INTERVAL = 1.0


class Meter:
    """Writes rate and remaining time into counters from the bytes of the last seconds."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._samples: deque[tuple[float, int]] = deque()
        self._next = 0.0

    def due(self, now: float) -> bool:
        """Return whether a second has passed since the last time; updates the counters if so. ``now`` is monotonic."""
        if now < self._next:
            return False
        self._next = now + _INTERVAL
        self.update(now)
        return True

    def update(self, now: float) -> None:
        """Take a sample and compute the rate over the window."""
        done = self._counters.bytes.transferred
        self._samples.append((now, done))
        while now - self._samples[0][0] > _WINDOW:
            self._samples.popleft()
        started, before = self._samples[0]
        if now > started:
            rate = (done - before) / (now - started)
            self._counters.bytes_per_second = int(rate)
            left = max(0, self._counters.bytes.to_transfer - done)
            self._counters.eta_seconds = left / rate if rate > 0 else None


class Phases:
    """Reports the phases of a run to its observer; none stays Running when the run stops."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._running: list[PhaseName] = []

    def begin(self, phase: PhaseName) -> None:
        """Report a phase as Running."""
        self._running.append(phase)
        self._observer.phase(phase, PhaseState.RUNNING)

    def end(self, phase: PhaseName) -> None:
        """Report a running phase as Succeeded."""
        self._running.remove(phase)
        self._observer.phase(phase, PhaseState.SUCCEEDED)

    def end_if_running(self, phase: PhaseName) -> None:
        """Report a phase as Succeeded if it is running."""
        if phase in self._running:
            self.end(phase)

    def skip(self, phase: PhaseName) -> None:
        """Report a phase that this run does not have as Skipped."""
        self._observer.phase(phase, PhaseState.SKIPPED)

    def fail_running(self) -> None:
        """Report running phases as Failed: the run has stopped."""
        while self._running:
            self._observer.phase(self._running.pop(), PhaseState.FAILED)


class ReadBytes:
    """Counts what one attempt has read as transferred, until the attempt fails."""

    def __init__(self, counters: ByteCounters) -> None:
        self._counters = counters
        self._read = 0

    def add(self, length: int) -> None:
        """Count ``length`` bytes."""
        self._read += length
        self._counters.transferred += length

    def take_back(self) -> None:
        """Restore the counters: the attempt has failed."""
        self._counters.transferred -= self._read
        self._read = 0


@dataclass(slots=True)
class Tally:
    """What a run has done so far, and the observer to report it to."""

    counters: Counters
    observer: Observer
    phases: Phases
    room: Room = field(default_factory=Room)
    failures: Counter[str] = field(default_factory=Counter)
    sids: SidTally = field(default_factory=SidTally)

    def count(self, kind: ItemKind) -> ItemCounters:
        """Return the counters of files, or of folders."""
        return self.counters.files if kind == "File" else self.counters.directories

    def fail(self, path: str, kind: ItemKind, phase: FilePhase, error: FileError) -> None:
        """Record that one file or folder failed; the run goes on."""
        self.count(kind).failed += 1
        self.failures[error.reason] += 1
        self.room.failed(path, error)
        self.observer.failure(FileFailure(display(path), phase, error.reason, error.message))

    def miss(self, path: str, kind: ItemKind, error: FileError) -> None:
        """Record that part of the metadata of what is in place could not be set; the run goes on."""
        self.count(kind).incomplete += 1
        self.fail(path, kind, "Transfer", error)

    def record(self, path: str, kind: ItemKind, action: ActionWord, size: int, digest: str | None = None) -> None:
        """Tell the observer that one file or folder is done."""
        self.observer.record(FileRecord(display(path), kind, action, size, digest))

    def skip(self, path: str, size: int) -> None:
        """Count a file that stays as it is."""
        self.counters.files.skipped += 1
        self.record(path, "File", "Skipped", size)

    def find_all(self, entries: list[DirectoryEntry]) -> None:
        """Count files that both sides list."""
        self.counters.files.listed += len(entries)
        self.counters.files.listed_destination += len(entries)

    def skip_all(self, folder: str, entries: list[DirectoryEntry]) -> None:
        """Count files of one folder that are the same on both sides."""
        self.find_all(entries)
        self.counters.files.skipped += len(entries)
        record, above = self.observer.record, display(folder).rstrip("/")
        for entry in entries:
            record(FileRecord(f"{above}{display(entry.name)}", "File", "Skipped", entry.size))

    def leave_out(self, path: str, kind: ItemKind, why: Literal["Link", "SystemFolder"]) -> None:
        """Count a link, or a server's own folder, that the options leave out."""
        counters = self.count(kind)
        counters.listed += 1
        if why == "Link":
            counters.links += 1
        else:
            counters.system += 1
        self.observer.record(FileRecord(display(path), kind, "LeftOut", 0, left_out=why))
        self.not_carried(path, *_LEFT_OUT[why])

    def not_carried(self, path: str, what: NotCarriedKind, reason: str) -> None:
        """Report something that the destination does not get; for a stream, ``path`` ends with ``:`` and its name.

        If the options ask for it, the caller reports a failure, too (:meth:`fail` or :meth:`miss`).
        """
        self.observer.not_carried(NotCarried(display(path), what, reason))

    def translated(self, path: str, translated: Translated) -> None:
        """Count the SIDs of a descriptor of the source."""
        self.sids.found(path, translated, self.not_carried)

    def lose(self, path: str, lost: Iterable[Lost]) -> None:
        """Report the attachments that a file or folder lacks at the destination."""
        for one in lost:
            named = f"{path}:{one.name}" if one.what is NotCarriedKind.STREAM else path
            what = f"{one.name}: {one.reason}" if one.name and one.what is not NotCarriedKind.STREAM else one.reason
            self.not_carried(named, one.what, what)

    def plan(self, action: Action, size: int) -> None:
        """Count a file that will be copied, or whose metadata will be set."""
        self.counters.files.to_transfer += 1
        if action not in (Action.METADATA, Action.COMPLETE):
            self.counters.bytes.to_transfer += size

    def unplan(self, action: Action, size: int) -> None:
        """Take back :meth:`plan`: the file is decided about once more."""
        self.counters.files.to_transfer -= 1
        if action not in (Action.METADATA, Action.COMPLETE):
            self.counters.bytes.to_transfer -= size
