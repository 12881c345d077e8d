"""What the agents of one run tell of their shards, and what follows from all of them together. No IO."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from smbferry_agent.report import words
from smbferry_agent.report.run_report import RunReport
from smbferry_api import run_status as api
from smbferry_engine import Counters, Cut, FileFailure, FileRecord, Piece

M = TypeVar("M", api.ItemCounters, api.ByteCounters)

_MAX_PATH: Final = 300
_MAX_MESSAGE: Final = 160
_SHARDS: Final = TypeAdapter(tuple[api.ShardStatus, ...])
_CARRIED: Final = ("phases", "security", "serverSideCopy")


def shard_status(
    index: int, told: api.TransferRunStatus, state: api.PhaseState, pieces: Iterable[Piece] = ()
) -> api.TransferRunStatus:
    """One agent's part of the run's status, from what it would tell if it had the run for itself; at most 2 KiB."""
    listed = tuple(
        failure.model_copy(update={"path": failure.path[:_MAX_PATH], "message": failure.message[:_MAX_MESSAGE]})
        for failure in told.failures[: api.MAX_SHARD_FAILURES]
    )
    shard = api.ShardStatus(
        index=index,
        state=state.value,
        counters=told.counters or api.Counters(),
        failures=listed,
        pieces=tuple(_piece_as_told(piece) for piece in pieces),
    )
    if told.failure is None:
        return api.TransferRunStatus(shards=(shard,))
    return api.TransferRunStatus(shards=(shard,), failure=told.failure)


def shards_in(manifest: Mapping[str, Any]) -> tuple[api.ShardStatus, ...]:
    """What a run's manifest says of its shards; nothing where it can't be read."""
    try:
        return _SHARDS.validate_python((manifest.get("status") or {}).get("shards") or ())
    except ValidationError:
        return ()


def all_went_well(shards: Iterable[api.ShardStatus], count: int) -> bool:
    """Whether each of the shards has told of its end, and of no failure."""
    good = {
        shard.index
        for shard in shards
        if shard.state == api.PhaseState.SUCCEEDED.value
        and not shard.counters.files.failed
        and not shard.counters.directories.failed
    }
    return good == set(range(count))


def pieces_in(shards: Iterable[api.ShardStatus]) -> list[Piece]:
    """The pieces of large files that the shards have left; one that can't be read counts as missing."""
    found = []
    for piece in (piece for shard in shards for piece in shard.pieces):
        try:
            version, digest = bytes.fromhex(piece.version), bytes.fromhex(piece.digest)
        except ValueError:
            continue
        found.append(Piece(Cut.read(piece.path, 0).path, version, piece.start, piece.end, digest))
    return found


def _piece_as_told(piece: Piece) -> api.GatheredPiece:
    return api.GatheredPiece(
        path=Cut(piece.path).shown,
        version=piece.version.hex(),
        start=piece.start,
        end=piece.end,
        digest=piece.digest.hex(),
    )


def totals(manifest: Mapping[str, Any], own: api.ShardStatus) -> dict[str, Any] | None:
    """The run's own counters while its shards are copied, as JSON; None where another agent tells them.

    That is the one with the lowest index that is at work. What the survey has told goes along: it stays as it is.
    """
    others = [shard for shard in shards_in(manifest) if shard.index != own.index]
    if any(shard.index < own.index and shard.state == api.PhaseState.RUNNING.value for shard in others):
        return None
    counters = sum_of([shard.counters for shard in (*others, own)])
    status = api.TransferRunStatus(counters=counters, progress=words.progress(counters))
    kept = {name: value for name, value in (manifest.get("status") or {}).items() if name in _CARRIED}
    return kept | status.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


def sum_of(counters: Iterable[api.Counters]) -> api.Counters:
    """All of them together; the time left follows from the sum of their rates."""
    told = list(counters)
    rate = sum(each.bytes_per_second or 0 for each in told)
    octets = _sum(api.ByteCounters, [each.bytes for each in told])
    left = octets.to_transfer - octets.transferred
    return api.Counters(
        files=_sum(api.ItemCounters, [each.files for each in told]),
        directories=_sum(api.ItemCounters, [each.directories for each in told]),
        bytes=octets,
        bytes_per_second=rate,
        eta=words.duration(left / rate) if rate and left > 0 else None,
    )


def _sum(model: type[M], told: list[M]) -> M:
    return model(**{name: sum(getattr(each, name) for each in told) for name in model.model_fields})


@dataclass(slots=True)
class FinishReport(RunReport):
    """The report of a run's last agent: what it does itself, together with what the shards have done before.

    A file that a shard could not copy counts as failed until this agent has copied it, or failed at it, too.
    """

    before: tuple[api.ShardStatus, ...] = ()
    _unsettled: dict[str, api.FileFailure] = field(default_factory=dict)
    _unlisted: int = 0

    def begin(self, manifest: Mapping[str, Any], before: tuple[api.ShardStatus, ...]) -> None:
        """Take over from the shards: their transfer goes on here."""
        self.before = before
        self._unsettled = {failure.path: failure for shard in before for failure in shard.failures}
        failed = sum(shard.counters.files.failed + shard.counters.directories.failed for shard in before)
        self._unlisted = max(0, failed - len(self._unsettled))
        self._counters = self._together(api.Counters())
        started = ((manifest.get("status") or {}).get("phases") or {}).get("transfer")
        if started:
            self._phases["transfer"] = api.Phase.model_validate(started)

    @property
    def unsettled(self) -> int:
        """How many files the shards could not copy, and this agent has not either."""
        return len(self._unsettled) + self._unlisted

    def outcome(self) -> api.RunState:
        """How the run ends; what the shards could not copy, and this agent has not either, counts."""
        return api.RunState.PARTIALLY_SUCCEEDED if self.unsettled else RunReport.outcome(self)

    def phase(self, name: str, state: str) -> None:
        """A phase has reached a state; the transfer began with the first shard."""
        before = self._phases.get(name)
        RunReport.phase(self, name, state)
        if name == "transfer" and state == api.PhaseState.RUNNING and before is not None and before.start_time:
            self._phases[name] = before

    def progress(self, counters: Counters) -> None:
        """The counters as they stand."""
        RunReport.progress(self, counters)
        if self._counters is not None:
            self._counters = self._together(self._counters)

    def failure(self, failure: FileFailure) -> None:
        """A file failed here, too."""
        self._unsettled.pop(failure.path, None)
        RunReport.failure(self, failure)

    def record(self, record: FileRecord) -> None:
        """A file is done: what a shard said of it is settled if it was copied now."""
        if record.action == "Transferred":
            self._unsettled.pop(record.path, None)
        RunReport.record(self, record)

    def status(self) -> api.TransferRunStatus:
        """The agent's part of the status, with what the shards have left unsettled."""
        status = RunReport.status(self)
        listed = (*status.failures, *self._unsettled.values())[: api.MAX_LISTED_FAILURES]
        return status.model_copy(update={"failures": listed}) if listed else status

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
