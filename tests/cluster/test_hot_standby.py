"""Two operators, one lease of the real API server: one acts, the other takes over, and never do both.

They are processes of this machine with a lease and a namespace of their own, so that they can be killed and frozen at
will; the installed operator is none of them.
"""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from lab.support.cluster.kube import new_namespace
from lab.support.cluster.process import Operator, operator

from smbferry_operator.decide.lease import LeaseTimes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.takes(70), pytest.mark.usefixtures("chart")]

TAKEOVER_SECONDS = 20
KEPT_SECONDS = LeaseTimes().duration - LeaseTimes().retry
"""For how long, at least, nobody else takes a lease that was not given away."""


@pytest.fixture
def pair(environment: dict[str, str], tmp_path: Path) -> Iterator[tuple[Operator, Operator]]:
    """A leader and its standby."""
    kube = new_namespace(environment)
    with ExitStack() as stack:
        stack.callback(kube.kubectl, "delete", "namespace", kube.namespace, "--wait=false")
        leader = stack.enter_context(operator(kube, "first", 0, tmp_path))
        leader.wait(leading=True, seconds=30)
        standby = stack.enter_context(operator(kube, "second", 1, tmp_path))
        standby.wait(leading=False, seconds=30)
        yield leader, standby


@pytest.mark.fault(41)
def test_a_leader_that_is_killed_is_succeeded_in_time(pair: tuple[Operator, Operator]) -> None:
    leader, standby = pair
    leader.process.kill()
    took = standby.wait(leading=True, seconds=TAKEOVER_SECONDS)
    print(f"takeover after kill -9: {took:.1f} s")  # noqa: T201 - the figure for docs/performance.md


def test_a_leader_that_is_told_to_stop_hands_over_at_once(pair: tuple[Operator, Operator]) -> None:
    leader, standby = pair
    assert leader.holds_the_lease()
    began = time.monotonic()
    leader.process.terminate()
    assert leader.process.wait(timeout=KEPT_SECONDS) == 0
    assert not leader.holds_the_lease()
    standby.wait(leading=True, seconds=KEPT_SECONDS)
    took = time.monotonic() - began
    print(f"handover after SIGTERM: {took:.1f} s")  # noqa: T201 - the figure for docs/performance.md


def test_a_leader_that_was_frozen_does_not_act_when_it_wakes(pair: tuple[Operator, Operator]) -> None:
    leader, standby = pair
    leader.process.send_signal(signal.SIGSTOP)
    standby.wait(leading=True, seconds=TAKEOVER_SECONDS)
    leader.process.send_signal(signal.SIGCONT)
    until = time.monotonic() + 5
    while time.monotonic() < until:
        assert not leader.leads
        time.sleep(0.05)
    assert standby.leads
    assert leader.probe("healthz").get("problem", "no answer") is None


def test_when_both_start_at_once_one_leads(environment: dict[str, str], tmp_path: Path) -> None:
    kube = new_namespace(environment)
    with ExitStack() as stack:
        stack.callback(kube.kubectl, "delete", "namespace", kube.namespace, "--wait=false")
        both = [stack.enter_context(operator(kube, f"n{i}", i, tmp_path)) for i in range(2)]
        until = time.monotonic() + 30
        while not any(o.leads for o in both):
            assert time.monotonic() < until, "nobody leads"
        for _ in range(40):
            assert sum(o.leads for o in both) == 1
            time.sleep(0.1)
