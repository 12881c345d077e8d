"""The order of SRV records (RFC 2782) and the words for look-ups."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbferry_agent.resolve import Lookup, Outcome, SrvRecord, by_priority


def record(host: str, priority: int, weight: int = 0) -> SrvRecord:
    return SrvRecord(host, 88, priority, weight)


def test_lower_priorities_come_first_whatever_their_weight() -> None:
    ordered = by_priority([record("c", 20, 100), record("a", 0), record("b", 10, 1)])
    assert [r.host for r in ordered] == ["a", "b", "c"]


def test_within_a_priority_heavier_records_come_first_more_often() -> None:
    first = Counter(by_priority([record("light", 0, 10), record("heavy", 0, 90)])[0].host for _ in range(2000))
    assert 0.85 < first["heavy"] / 2000 < 0.95


def test_weight_zero_comes_last_within_its_priority() -> None:
    assert [r.host for r in by_priority([record("zero", 0), record("some", 0, 1)], lambda: 0.5)] == ["some", "zero"]


@given(st.lists(st.builds(record, st.text(max_size=3), st.integers(0, 65535), st.integers(0, 65535)), max_size=20))
def test_no_record_is_lost(records: list[SrvRecord]) -> None:
    assert Counter(by_priority(records)) == Counter(records)


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (Outcome.NO_NAME, "NXDOMAIN"),
        (Outcome.NO_RECORD, "no such record"),
        (Outcome.TIMEOUT, "no answer within 5s"),
        (Outcome.FAILED, "the DNS server failed"),
    ],
)
def test_look_ups_say_whom_they_asked_and_how_it_ended(outcome: Outcome, says: str) -> None:
    text = Lookup("dc1", "A, AAAA", outcome, (), ("10.0.0.53",)).describe()
    assert "asked 10.0.0.53" in text
    assert says in text
