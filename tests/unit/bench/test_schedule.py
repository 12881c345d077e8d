"""Order and budget of the measurements."""

from __future__ import annotations

import pytest
from lab.bench import peers
from lab.bench.cases import cases
from lab.bench.schedule import Clock, Step, steps_of

CASES = {case.name: case for case in cases(0.01)}


def names(case: str) -> set[str]:
    return {step.peer.name for step in steps_of(CASES[case], peers.PEERS, 1)}


def test_every_round_has_every_peer_once_and_begins_with_another() -> None:
    steps = steps_of(CASES["copy"], peers.PEERS, 3)
    rounds = [[step.peer.name for step in steps if step.round == number] for number in range(3)]
    assert all(sorted(one) == sorted(rounds[0]) for one in rounds)
    assert len({one[0] for one in rounds}) == 3


def test_a_case_has_no_more_rounds_than_it_or_the_caller_wants() -> None:
    assert {step.round for step in steps_of(CASES["small"], peers.PEERS, 9)} == {0, 1, 2}
    assert {step.round for step in steps_of(CASES["small"], peers.PEERS, 2)} == {0, 1}


@pytest.mark.parametrize(
    ("case", "taking_part"),
    [
        ("copy", {"smbferry", "smbferry-verify", "limit", "rclone", "smbclient", "smbprotocol"}),
        ("read", {"smbferry", "rclone", "smbclient", "smbprotocol"}),
        ("small", {"smbferry", "smbferry-verify", "rclone", "rclone-16", "smbclient", "smbprotocol"}),
        ("small-acl", {"smbferry", "smbferry-verify"}),
        ("rescan", {"smbferry", "rclone", "rclone-16", "smbprotocol"}),
        ("rescan-acl", {"smbferry"}),
        ("rescan-ace", {"smbferry"}),
        ("million", {"smbferry"}),
        *((case, set(peers.ON_ONE_SERVER)) for case in ("server-copy", "server-small")),
    ],
)
def test_who_can_do_a_job_takes_part(case: str, taking_part: set[str]) -> None:
    assert names(case) == taking_part


def test_the_first_round_is_always_made_and_later_ones_while_there_is_room() -> None:
    steps = steps_of(CASES["million"], peers.PEERS, 1) + steps_of(CASES["small-acl"], peers.PEERS, 3)
    known = {(step.case.name, step.peer.name): 10.0 for step in steps}
    assert [step.round for step in Clock(0.0, known).affordable(steps)] == [0, 0, 0]
    assert [step.round for step in Clock(50.0, known).affordable(steps)] == [0, 0, 0, 1, 1]
    assert Clock(1000.0, known).affordable(steps) == steps
    assert Clock(1000.0, known).left(steps) == pytest.approx(70.0)


def test_what_a_measurement_took_replaces_what_was_expected() -> None:
    step = Step(CASES["copy"], peers.PEERS[0], 0)
    clock = Clock(100.0, {("copy", peers.PEERS[0].name): 5.0})
    assert clock.expected(step) == 5.0
    clock.took(step, 7.0)
    assert clock.expected(step) == 7.0


def test_only_who_does_one_file_after_the_other_gets_a_part_of_a_tree() -> None:
    given = {
        (peer.name, case): peer.share_of(CASES[case]).files < CASES[case].tree.files
        for peer in peers.PEERS
        for case in ("rescan", "rescan-10ms", "copy")
    }
    assert {key for key, part in given.items() if part} == {
        ("smbprotocol", "rescan"),
        ("smbprotocol", "rescan-10ms"),
        ("smbclient", "rescan-10ms"),
    }
