"""What the agents of one run tell of their shards, and what their last one makes of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.builders import snapshot

from smbferry_agent.errors import AgentError
from smbferry_agent.report.run_report import RunReport
from smbferry_agent.report.shards import (
    FinishReport,
    all_went_well,
    left_by_an_earlier_agent,
    pieces_in,
    read_pieces,
    shard_status,
    shards_in,
    sum_of,
    totals,
)
from smbferry_agent.report.sinks import status_fields
from smbferry_agent.stages import agents_at_once, shards_of_run
from smbferry_api.run import ResolvedTask
from smbferry_api.run_status import ByteCounters, GatheredPiece, ItemCounters, ShardStatus
from smbferry_api.run_status import Counters as Told
from smbferry_engine import Counters, FileFailure, FileRecord, NotCarried, NotCarriedKind, Piece
from smbferry_words.run import PhaseState

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
RUNNING, SUCCEEDED, FAILED = PhaseState.RUNNING, PhaseState.SUCCEEDED, PhaseState.FAILED
PIECE = Piece("dir\\\ud800big", b"v" * 16, 5, 99, b"d" * 32)


def shard(index: int, state: PhaseState = SUCCEEDED, *, failed: int = 0, transferred: int = 2) -> ShardStatus:
    counters = Told(
        files=ItemCounters(transferred=transferred, failed=failed, to_transfer=transferred + failed),
        bytes=ByteCounters(to_transfer=100, transferred=60, written=50),
        bytes_per_second=10,
    )
    return ShardStatus(index=index, state=state.value, counters=counters)


def manifest(*shards: ShardStatus, **status: Any) -> dict[str, Any]:
    told = [each.model_dump(mode="json", by_alias=True) for each in shards]
    return {"spec": {}, "status": {"shards": told, **status}}


def engine_counters(**files: int) -> Counters:
    counters = Counters()
    for name, value in files.items():
        setattr(counters.files, name, value)
    return counters


def test_a_shard_tells_its_own_part_in_two_kibibytes_however_much_failed() -> None:
    report = RunReport()
    report.progress(engine_counters(listed=10**12, transferred=10**12, failed=10**6))
    for number in range(30):
        report.failure(FileFailure(f"/{'long/' * 100}{number}", "Transfer", "AccessDenied", "denied " * 100))
    told = status_fields(shard_status(3, report.status(), RUNNING, [PIECE, PIECE]))
    assert set(told) == {"shards"}
    assert told["shards"][0]["index"] == 3
    assert told["shards"][0]["state"] == "Running"
    assert len(told["shards"][0]["failures"]) == 3
    assert len(json.dumps(told)) <= 3 * 1024


def lacking(shard_index: int, *items: NotCarried) -> ShardStatus:
    report = RunReport()
    for item in items:
        report.not_carried(item)
    return shard_status(shard_index, report.status(), SUCCEEDED).shards[0]


def test_a_shard_tells_what_did_not_arrive_in_four_kibibytes_however_much_it_was() -> None:
    report = RunReport()
    for kind in NotCarriedKind:
        for number in range(30):
            report.not_carried(NotCarried(f"/{'long/' * 100}{number}", kind, "refused " * 100))
    (told,) = status_fields(shard_status(3, report.status(), RUNNING))["shards"]
    assert {sum_["what"]: sum_["count"] for sum_ in told["notCarried"]} == dict.fromkeys(NotCarriedKind, 30)
    assert len(json.dumps(told)) <= 4 * 1024


def test_what_did_not_arrive_is_summed_over_the_shards_and_counted_once_by_the_finish() -> None:
    sids = [NotCarried(f"/{number}", NotCarriedKind.LOCAL_SID, "local") for number in range(12)]
    stream = NotCarried("/f:s", NotCarriedKind.STREAM, "no streams")
    link = NotCarried("/l", NotCarriedKind.LINK, "links are not copied")
    one, other = lacking(0, *sids, link, stream), lacking(1, sids[0], link)
    together = totals(manifest(one), other)
    assert together is not None
    assert {sum_["what"]: sum_["count"] for sum_ in together["notCarried"]} == {"Link": 2, "LocalSid": 13, "Stream": 1}
    report = FinishReport()
    report.begin(manifest(), (one, other))
    for item in (link, link, stream, stream, sids[0]):
        report.not_carried(item)
    report.progress(engine_counters())
    status = report.status()
    assert [(sum_.what, sum_.count, len(sum_.paths)) for sum_ in status.not_carried] == [
        ("Link", 2, 2),
        ("LocalSid", 14, 3),
        ("Stream", 2, 2),
    ]
    assert status.progress is not None
    assert status.progress.not_carried == "18"


def test_pieces_survive_being_told_whatever_their_names() -> None:
    told = status_fields(shard_status(0, RunReport().status(), SUCCEEDED, [PIECE]))
    json.dumps(told).encode()
    assert pieces_in(shards_in({"status": told})) == [PIECE]


def test_a_piece_that_cannot_be_read_counts_as_missing() -> None:
    told = status_fields(shard_status(0, RunReport().status(), SUCCEEDED, [PIECE]))
    told["shards"][0]["pieces"][0]["digest"] = "xyz"
    assert pieces_in(shards_in({"status": told})) == []


@pytest.mark.parametrize("status", [None, {}, {"shards": None}, {"shards": [{"index": "x"}]}, {"shards": 5}])
def test_a_status_that_says_nothing_of_shards_has_none(status: Any) -> None:
    assert shards_in({"status": status}) == ()


@pytest.mark.parametrize(
    ("shards", "well"),
    [
        ([shard(0), shard(1)], True),
        ([shard(1), shard(0)], True),
        ([shard(0)], False),
        ([shard(0), shard(1, RUNNING)], False),
        ([shard(0), shard(1, FAILED)], False),
        ([shard(0), shard(1, failed=1)], False),
    ],
)
def test_all_went_well_only_if_every_shard_said_so(shards: list[ShardStatus], well: bool) -> None:
    assert all_went_well(shards, 2) is well


def test_the_lowest_agent_at_work_tells_the_runs_counters_and_keeps_what_the_survey_told() -> None:
    phases = {"transfer": {"state": "Running"}}
    seen = manifest(shard(0), shard(1, RUNNING), shard(2, RUNNING), phases=phases, state="Transferring")
    together = totals(seen, shard(1, RUNNING))
    assert together is not None
    assert together["phases"] == phases
    assert "state" not in together
    assert together["counters"]["files"]["transferred"] == 6
    assert together["counters"]["bytesPerSecond"] == 30
    assert together["counters"]["eta"] == "4.0s"
    assert together["progress"]["percent"] == "60%"
    assert totals(seen, shard(2, RUNNING)) is None


def test_nothing_together_is_nothing() -> None:
    assert sum_of([]).files == ItemCounters()


def test_the_finish_counts_what_the_shards_did_once() -> None:
    report = FinishReport()
    report.begin(manifest(), (shard(0), shard(1)))
    assert report.status().counters.files.transferred == 4  # type: ignore[union-attr]  # it is known from the start
    report.progress(engine_counters(listed=6, skipped=5, to_transfer=1, transferred=1, verified=1))
    files = report.status().counters.files  # type: ignore[union-attr]  # it was told
    assert (files.listed, files.transferred, files.skipped, files.to_transfer) == (6, 5, 1, 5)


@pytest.mark.parametrize(
    ("event", "unsettled", "listed"),
    [
        (None, 2, ["/a"]),
        (FileRecord("/a", "File", "Transferred", 5), 1, []),
        (FileRecord("/a", "File", "Skipped", 5), 2, ["/a"]),
        (FileFailure("/a", "Transfer", "AccessDenied", "again"), 1, ["/a"]),
    ],
)
def test_what_a_shard_could_not_copy_counts_until_it_is_copied(
    event: FileRecord | FileFailure | None, unsettled: int, listed: list[str]
) -> None:
    report, told = FinishReport(), RunReport()
    told.progress(engine_counters(failed=2))
    told.failure(FileFailure("/a", "Transfer", "AccessDenied", "denied"))
    report.begin(manifest(), shard_status(0, told.status(), SUCCEEDED).shards)
    if isinstance(event, FileRecord):
        report.record(event)
    elif event is not None:
        report.failure(event)
    report.progress(engine_counters())
    assert report.unsettled == unsettled
    assert [failure.path for failure in report.status().failures] == listed
    assert report.status().counters.files.failed == unsettled  # type: ignore[union-attr]  # it was told


def test_the_transfer_has_begun_with_the_shards() -> None:
    report = FinishReport(now=lambda: NOW)
    report.begin(manifest(phases={"transfer": {"state": "Running", "startTime": "2026-11-21T11:00:00Z"}}), ())
    report.phase("transfer", "Running")
    report.phase("transfer", "Succeeded")
    transfer = report.status().phases.transfer  # type: ignore[union-attr]  # it was told
    assert (transfer.state, transfer.duration) == (SUCCEEDED, "1h00m")  # type: ignore[union-attr]  # the same


@pytest.mark.parametrize(
    "status", [None, {}, {"split": {"cuts": [{"path": "/b"}, {"path": "/a"}]}}, {"split": {"cuts": [{}]}}]
)
def test_without_a_split_that_makes_sense_no_shard_is_copied(status: Any) -> None:
    with pytest.raises(AgentError, match="split"):
        shards_of_run({"status": status})


def test_a_split_without_cuts_is_one_shard() -> None:
    assert len(shards_of_run({"status": {"split": {}}})) == 1
    assert len(shards_of_run({"status": {"split": {"cuts": [{"path": "/a/b", "offset": 5}]}}})) == 2


def told_of(path: str, end: int) -> dict[str, Any]:
    return {"path": path, "version": "00" * 24, "start": 0, "end": end, "digest": "11" * 32}


def test_a_shard_tells_what_it_has_begun_and_the_next_agent_of_its_index_finds_it() -> None:
    report = RunReport()
    report.partial_files(GatheredPiece.model_validate(told_of(path, 7)) for path in ("a", "b" * 301))
    told = status_fields(shard_status(2, report.status(), PhaseState.PENDING))
    before = {"status": {**told, "partialFiles": [told_of("whole", 9)]}}

    assert [piece.path for piece in left_by_an_earlier_agent(before, 2)] == ["a"], "long paths have no room"
    assert left_by_an_earlier_agent(before, 1) == ()
    assert [piece.path for piece in left_by_an_earlier_agent(before, None)] == ["whole"]
    assert left_by_an_earlier_agent({}, None) == left_by_an_earlier_agent({"status": {"shards": "odd"}}, 0) == ()


def test_where_nothing_is_begun_the_status_says_nothing_of_it() -> None:
    report = RunReport()
    report.partial_files([GatheredPiece.model_validate(told_of("a", 7))])
    assert "partialFiles" in status_fields(report.status())
    report.partial_files([])
    assert "partialFiles" not in status_fields(report.status())
    assert "partialFiles" not in status_fields(shard_status(2, report.status(), PhaseState.SUCCEEDED))["shards"][0]


def test_what_is_begun_and_can_not_be_read_counts_as_nothing() -> None:
    odd = GatheredPiece.model_validate({**told_of("a", 7), "digest": "odd"})

    assert read_pieces([odd]) == []


@pytest.mark.parametrize(("parallelism", "shards", "expected"), [(4, 4, 4), (8, 3, 3), (2, 4, 2)])
def test_the_agents_that_work_at_a_time_divide_the_bandwidth(parallelism: int, shards: int, expected: int) -> None:
    """Limits may permit fewer than the tree was cut for."""
    task = ResolvedTask.model_validate(snapshot(agent={"parallelism": parallelism}))

    assert agents_at_once(task, shards) == expected
