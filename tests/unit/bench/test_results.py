"""Medians, ratios and goals from rows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lab.bench import peers
from lab.bench.cases import MIB, Case, Tree, Unit, Work
from lab.bench.results import GOALS, Row, document, greediest, judge, ratio, summarise

COPY = Case("copy", "copy one file", Work.COPY, Unit.BYTES, Tree("one", (1000,), single=True), 3)
SMALL = Case("small", "copy many", Work.TREE, Unit.FILES, Tree("small", (1,) * 100), 3)


def row(peer: str, seconds: float, *, case: Case = COPY, number: int = 0, peak: int = MIB) -> Row:
    return Row(case.name, peer, number, seconds, case.tree.files, case.tree.bytes, seconds / 2, seconds / 4, peak)


def test_the_median_of_the_rounds_counts_and_the_greatest_peak() -> None:
    rows = [row("rclone", seconds, number=n, peak=n) for n, seconds in enumerate((1.0, 10.0, 2.0))]
    (found,) = summarise([COPY], rows)
    assert (found.rounds, found.seconds, found.rate, found.peak_bytes) == (3, 2.0, 500.0, 2)
    assert (found.cpu_seconds, found.server_cpu_seconds) == (1.0, 0.5)


def test_a_peer_that_failed_once_has_no_figures() -> None:
    failed = replace(row("rclone", 0.0, number=1), error="it differs")
    (found,) = summarise([COPY], [row("rclone", 1.0), failed])
    assert (found.error, found.rate) == ("it differs", 0.0)
    assert ratio([found], "copy", "rclone", ("rclone",)) is None


def test_a_rate_is_per_what_the_peer_was_given() -> None:
    whole, part = row(peers.ENGINE, 1.0, case=SMALL), replace(row(peers.SMBPROTOCOL, 1.0, case=SMALL), files=10)
    summaries = summarise([SMALL], [whole, part])
    assert ratio(summaries, "small", peers.ENGINE, (peers.SMBPROTOCOL,)) == pytest.approx(10.0)


def test_a_ratio_is_to_the_fastest_of_the_others() -> None:
    rows = [row(peers.ENGINE, 1.0), row(peers.RCLONE, 8.0), row(peers.RCLONE_16, 4.0)]
    summaries = summarise([COPY], rows)
    assert ratio(summaries, "copy", peers.ENGINE, (peers.RCLONE, peers.RCLONE_16)) == pytest.approx(4.0)
    assert ratio(summaries, "copy", peers.ENGINE, (peers.SMBCLIENT,)) is None


@pytest.mark.parametrize(("seconds", "reached"), [(4.0, True), (3.9, False)])
def test_a_goal_is_reached_at_its_figure(seconds: float, *, reached: bool) -> None:
    found = {one.title: one for one in judge(summarise([COPY], [row(peers.ENGINE, 1.0), row(peers.RCLONE, seconds)]))}
    one = found["one file copied, to rclone"]
    assert one.found == pytest.approx(seconds)
    assert (one.wanted, one.reached) == (4.0, reached)
    missing = found["one file copied, to the limit"]
    assert (missing.found, missing.reached) == (None, False)


def test_goals_name_cases_and_peers_that_exist() -> None:
    known = {peer.name for peer in peers.PEERS}
    for goal in GOALS:
        assert {goal.peer, *goal.baselines} <= known


def test_the_greediest_row_is_one_of_the_engines_own() -> None:
    rows = [
        row(peers.ENGINE, 1.0, peak=50),
        row(peers.VERIFIED, 1.0, peak=70),
        row(peers.LIMIT, 1.0, peak=90),
        row(peers.RCLONE, 1.0, peak=99),
    ]
    found = greediest(summarise([COPY], rows))
    assert found is not None
    assert (found.peer, found.peak_bytes) == (peers.VERIFIED, 70)


def test_the_document_has_every_row_and_only_the_peers_that_were_measured() -> None:
    rows = [row(peers.ENGINE, 1.0), row(peers.RCLONE, 2.0)]
    found = document(machine={"memory": "1 GiB"}, scale=0.5, cases=[COPY], rows=rows)
    assert found["peers"] == {"smbferry": "smbferry", "rclone": "rclone"}
    assert isinstance(found["rows"], list)
    assert [one["seconds"] for one in found["rows"]] == [1.0, 2.0]
    assert found["scale"] == 0.5
