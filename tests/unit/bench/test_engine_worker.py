"""What the bench asks of the engine, and what it takes for a job that was done."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lab.bench.cases import Work
from lab.bench.engine_worker import judge, options_of
from lab.bench.job import Job, Side

from smbferry_engine import ByteCounters, Counters, ItemCounters
from smbferry_words.options import CompareBy, SecurityDescriptors

SIDE = Side("share", "a", "user@REALM", "FILE:/c")
JOB = Job(Work.RESCAN, "server", "10.0.0.1", 445, "/krb5", SIDE, SIDE, "", 0, "", "/s")


def counters(*, transferred: int = 0, read: int = 0, by_server: int = 0) -> Counters:
    return Counters(ItemCounters(transferred=transferred), bytes=ByteCounters(transferred=read, server_side=by_server))


@pytest.mark.parametrize(
    ("work", "compare_by"),
    [
        (Work.TREE, CompareBy.SIZE_AND_TIME),
        (Work.RESCAN, CompareBy.SIZE_AND_TIME),
        (Work.INSPECT, CompareBy.METADATA),
        (Work.MEND, CompareBy.METADATA),
    ],
)
def test_descriptors_are_compared_only_where_that_is_measured(work: Work, compare_by: CompareBy) -> None:
    options = options_of(replace(JOB, work=work, descriptors=True))
    assert (options.compare_by, options.security_descriptors) == (compare_by, SecurityDescriptors.OWNER_DACL)


@pytest.mark.parametrize("work", [Work.RESCAN, Work.INSPECT])
def test_a_rescan_changes_and_reads_nothing(work: Work) -> None:
    judge(replace(JOB, work=work), counters())
    for wrong in (counters(transferred=1), counters(read=1)):
        with pytest.raises(RuntimeError, match="0 files and no bytes expected"):
            judge(replace(JOB, work=work), wrong)


def test_one_changed_entry_is_carried_over_and_no_content_is_read() -> None:
    job = replace(JOB, work=Work.MEND)
    judge(job, counters(transferred=1))
    for wrong in (counters(), counters(transferred=2), counters(transferred=1, read=4096)):
        with pytest.raises(RuntimeError, match="1 files and no bytes expected"):
            judge(job, wrong)


def test_a_server_copies_by_itself_where_it_shall_and_only_there() -> None:
    judge(replace(JOB, work=Work.COPY, by_server=True), counters(by_server=1))
    for job, found in ((replace(JOB, by_server=True), counters()), (JOB, counters(by_server=1))):
        with pytest.raises(RuntimeError, match="by itself"):
            judge(job, found)
