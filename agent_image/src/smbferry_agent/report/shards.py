"""The reports of a run's agents about their shards, and their sums. No IO."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from smbferry_agent.manifests import previous_status
from smbferry_agent.report import words
from smbferry_agent.report.not_carried import NotCarriedTally, shortened, together
from smbferry_agent.report.politeness import slowest
from smbferry_agent.report.run_report import RunReport
from smbferry_api import run_status as api
from smbferry_api.sid_status import MAX_SHARD_SIDS, SidStatus
from smbferry_engine import Counters, Cut, FileFailure, FileRecord, Piece
from smbferry_words.run import PhaseState

M = TypeVar("M", api.ItemCounters, api.ByteCounters)

_MAX_PATH: Final = 300
_MAX_MESSAGE: Final = 160
_SHARDS: Final = TypeAdapter(tuple[api.ShardStatus, ...])
_CARRIED: Final = ("phases", "security", "serverSideCopy", "sourceSnapshot")


def shard_status(
    index: int, reported: api.TransferRunStatus, state: PhaseState, pieces: Iterable[Piece] = ()
) -> api.TransferRunStatus:
    """One agent's part of the run's status, at most 5 KiB.

    Args:
        reported: the status that a single agent of the run would report.
    """
    listed = tuple(
        failure.model_copy(update={"path": failure.path[:_MAX_PATH], "message": failure.message[:_MAX_MESSAGE]})
        for failure in reported.failures[: api.MAX_SHARD_FAILURES]
    )
    shard = api.ShardStatus(
        index=index,
        state=state.value,
        counters=reported.counters or api.Counters(),
        failures=listed,
        not_carried=shortened(reported.not_carried),
        pieces=tuple(piece_as_told(piece) for piece in pieces),
    )
    if partial := tuple(piece for piece in reported.partial_files if len(piece.path) <= _MAX_PATH):
        shard = shard.model_copy(update={"partial_files": partial[: api.MAX_SHARD_PARTIAL_FILES]})
    if reported.politeness is not None:
        shard = shard.model_copy(update={"politeness": reported.politeness})
    if reported.sids is not None:
        shard = shard.model_copy(update={"sids": _shortened(reported.sids)})
    if reported.failure is None:
        return api.TransferRunStatus(shards=(shard,))
    return api.TransferRunStatus(shards=(shard,), failure=reported.failure)


def _shortened(sids: SidStatus) -> SidStatus:
    kept = {name: getattr(sids, name)[:MAX_SHARD_SIDS] for name in ("applied", "unmapped") if getattr(sids, name)}
    return SidStatus(**kept)


def shards_in(manifest: Mapping[str, Any]) -> tuple[api.ShardStatus, ...]:
    """The shards in a run's manifest; none if they are unreadable."""
    try:
        return _SHARDS.validate_python((manifest.get("status") or {}).get("shards") or ())
    except ValidationError:
        return ()


def all_went_well(shards: Iterable[api.ShardStatus], count: int) -> bool:
    """Whether each shard has reported its end without a failure."""
    good = {
        shard.index
        for shard in shards
        if shard.state == PhaseState.SUCCEEDED.value
        and not shard.counters.files.failed
        and not shard.counters.directories.failed
    }
    return good == set(range(count))


def pieces_in(shards: Iterable[api.ShardStatus]) -> list[Piece]:
    """The pieces of large files that the shards have written; an unreadable one counts as missing."""
    return read_pieces(piece for shard in shards for piece in shard.pieces)


def read_pieces(told: Iterable[api.GatheredPiece]) -> list[Piece]:
    """Pieces as a status has them, without those that are unreadable."""
    found = []
    for piece in told:
        try:
            version, digest = bytes.fromhex(piece.version), bytes.fromhex(piece.digest)
        except ValueError:
            continue
        found.append(Piece(Cut.read(piece.path, 0).path, version, piece.start, piece.end, digest))
    return found


def left_by_an_earlier_agent(manifest: Mapping[str, Any], index: int | None) -> tuple[api.GatheredPiece, ...]:
    """What an earlier agent of the run has begun of large files, or one of the same shard.

    Args:
        index: of the shard; None if one agent does the stage.
    """
    if index is None:
        return previous_status(api.TransferRunStatus, dict(manifest)).partial_files
    own = next((shard for shard in shards_in(manifest) if shard.index == index), None)
    return () if own is None else (*own.pieces, *own.partial_files)


def piece_as_told(piece: Piece) -> api.GatheredPiece:
    """A piece as a status has it."""
    return api.GatheredPiece(
        path=Cut(piece.path).shown,
        version=piece.version.hex(),
        start=piece.start,
        end=piece.end,
        digest=piece.digest.hex(),
    )


def totals(manifest: Mapping[str, Any], own: api.ShardStatus) -> dict[str, Any] | None:
    """The run's counters while shards are copied, as JSON; None if another agent writes them.

    The agent with the lowest index that is at work writes them. The survey's fields are repeated, so that they stay.
    """
    others = [shard for shard in shards_in(manifest) if shard.index != own.index]
    if any(shard.index < own.index and shard.state == PhaseState.RUNNING.value for shard in others):
        return None
    counters = sum_of([shard.counters for shard in (*others, own)])
    left = together(sum_ for shard in (*others, own) for sum_ in shard.not_carried)
    status = api.TransferRunStatus(counters=counters, progress=words.progress(counters, left))
    if left:
        status = status.model_copy(update={"not_carried": left})
    if (politeness := slowest(shard.politeness for shard in (*others, own))) is not None:
        status = status.model_copy(update={"politeness": politeness})
    kept = {name: value for name, value in (manifest.get("status") or {}).items() if name in _CARRIED}
    return kept | status.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


def sum_of(counters: Iterable[api.Counters]) -> api.Counters:
    """The sum of counters; the remaining time follows from the sum of their rates."""
    reported = list(counters)
    rate = sum(each.bytes_per_second or 0 for each in reported)
    octets = _sum(api.ByteCounters, [each.bytes for each in reported])
    left = octets.to_transfer - octets.transferred
    return api.Counters(
        files=_sum(api.ItemCounters, [each.files for each in reported]),
        directories=_sum(api.ItemCounters, [each.directories for each in reported]),
        bytes=octets,
        bytes_per_second=rate,
        eta=words.duration(left / rate) if rate and left > 0 else None,
    )


def _sum(model: type[M], reported: list[M]) -> M:
    return model(**{name: sum(getattr(each, name) for each in reported) for name in model.model_fields})


@dataclass(slots=True)
class FinishReport(RunReport):
    """The report of a run's last agent: its own work and that of the shards.

    A file that a shard could not copy counts as failed until this agent has copied it or failed, too.
    """

    before: tuple[api.ShardStatus, ...] = ()
    _unsettled: dict[str, api.FileFailure] = field(default_factory=dict)
    _unlisted: int = 0

    def begin(self, manifest: Mapping[str, Any], before: tuple[api.ShardStatus, ...]) -> None:
        """Starts with the reports of the shards."""
        self.before = before
        self._unsettled = {failure.path: failure for shard in before for failure in shard.failures}
        failed = sum(shard.counters.files.failed + shard.counters.directories.failed for shard in before)
        self._unlisted = max(0, failed - len(self._unsettled))
        self._not_carried = NotCarriedTally(sum_ for shard in before for sum_ in shard.not_carried)
        self._set(counters=self._together(api.Counters()))
        started = ((manifest.get("status") or {}).get("phases") or {}).get("transfer")
        if started:
            self._set_phase("transfer", api.Phase.model_validate(started))

    @property
    def unsettled(self) -> int:
        """How many files the shards could not copy and this agent has not copied either."""
        return len(self._unsettled) + self._unlisted

    def outcome(self) -> api.RunState:
        """The state of the run; files that are still unsettled count as failed."""
        failed = self.unsettled and not self._waits
        return api.RunState.PARTIALLY_SUCCEEDED if failed else RunReport.outcome(self)

    def phase(self, name: str, state: str) -> None:
        """A phase has reached a state. The transfer phase started with the first shard."""
        before = self._phase(name)
        RunReport.phase(self, name, state)
        if name == "transfer" and state == PhaseState.RUNNING and before is not None and before.start_time:
            self._set_phase(name, before)

    def progress(self, counters: Counters) -> None:
        """The current counters."""
        RunReport.progress(self, counters)
        if self._status.counters is not None:
            self._set(counters=self._together(self._status.counters))

    def failure(self, failure: FileFailure) -> None:
        """A file failed in this agent, too."""
        self._unsettled.pop(failure.path, None)
        RunReport.failure(self, failure)

    def record(self, record: FileRecord) -> None:
        """A file is completed. If it was copied, a shard's failure is settled."""
        if record.action == "Transferred":
            self._unsettled.pop(record.path, None)
        RunReport.record(self, record)

    def status(self) -> api.TransferRunStatus:
        """The agent's part of the status, with the unsettled failures of the shards."""
        status = RunReport.status(self)
        listed = (*status.failures, *self._unsettled.values())[: api.MAX_LISTED_FAILURES]
        return status.model_copy(update={"failures": listed}) if listed else status

    def _sids_before(self) -> Iterable[SidStatus]:
        return [shard.sids for shard in self.before if shard.sids is not None]

    def _together(self, own: api.Counters) -> api.Counters:
        shards = sum_of([shard.counters for shard in self.before])
        files = own.files.model_copy(
            update={
                "to_transfer": own.files.to_transfer + shards.files.transferred,
                "transferred": own.files.transferred + shards.files.transferred,
                "skipped": max(0, own.files.skipped - shards.files.transferred),
                "renamed": own.files.renamed + shards.files.renamed,
                "verified": own.files.verified + shards.files.verified,
                "failed": own.files.failed + self.unsettled,
            }
        )
        renamed = own.directories.renamed + shards.directories.renamed
        folders = own.directories.model_copy(update={"renamed": renamed})
        octets = _sum(api.ByteCounters, [own.bytes, shards.bytes]).model_copy(
            update={"to_transfer": own.bytes.to_transfer + shards.bytes.transferred}
        )
        return own.model_copy(update={"files": files, "directories": folders, "bytes": octets})
