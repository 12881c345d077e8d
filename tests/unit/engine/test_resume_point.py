"""How far a file is: what is read and settled counts, in whatever order and however long ahead the reading is."""

import pytest
from blake3 import blake3

from smbferry_engine.run.resume import ResumePoint
from smbferry_engine.wire.create import CreateReply


def opened(*, size: int = 1_000, write: int = 3, change: int = 4) -> CreateReply:
    return CreateReply(1, 1, 2, write, change, size, 0x20, bytes(16), None)


def test_it_is_as_far_as_what_is_settled_and_has_the_hash_of_just_that() -> None:
    resume_point, hasher = ResumePoint(opened()), blake3()
    for end in range(10, 60, 10):
        hasher.update(b"x" * 10)
        resume_point.hashed(end, hasher, settled=0)
    assert resume_point.kept().through == 0
    resume_point.pause(35)
    through, kept = resume_point.kept()
    assert (through, kept.digest()) == (30, blake3(b"x" * 30).digest())
    resume_point.settle(1_000)
    assert resume_point.kept().through == 30, "what was read ahead is read again"


def test_a_part_begins_where_it_begins() -> None:
    resume_point = ResumePoint(opened(), begin=500)
    assert resume_point.kept().through == 500
    assert resume_point.serves(opened(), kept_size=0)


@pytest.mark.parametrize("other", [opened(size=999), opened(write=2), opened(change=5)])
def test_another_version_of_the_file_is_another_file(other: CreateReply) -> None:
    resume_point = ResumePoint(opened())
    assert resume_point.serves(opened(), 0)
    assert not resume_point.serves(other, 1_000)


def test_what_a_temporary_is_too_short_for_does_not_serve() -> None:
    resume_point = ResumePoint(opened())
    resume_point.hashed(10, blake3(b"x" * 10), settled=10)
    assert resume_point.serves(opened(), kept_size=10)
    assert not resume_point.serves(opened(), kept_size=9)


def test_reading_far_ahead_of_what_is_settled_takes_no_more_memory() -> None:
    resume_point, hasher = ResumePoint(opened()), blake3()
    for end in range(1, 10_001):
        hasher.update(b"x")
        resume_point.hashed(end, hasher, settled=0)
    assert len(resume_point._ahead) <= 256
    resume_point.settle(10_000)
    assert resume_point.kept().through == 10_000
    assert resume_point.kept().hasher.digest() == blake3(b"x" * 10_000).digest()
