"""Two operators, one lease of the real API server: one acts, the other takes over, and never do both.

They are processes of this machine with a lease and a namespace of their own, so that they can be killed and frozen at
will; the installed operator is none of them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.cluster.conftest import ROOT, new_namespace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster.kube import Kube

LEASE = "standby-test"
TAKEOVER_SECONDS = 20
HANDOVER_SECONDS = 5
FIRST_PORT = 28080


class Operator:
    """One process."""

    def __init__(self, kube: Kube, name: str, port: int, log: Path) -> None:
        self.port = port
        self.log = log
        sources = ("crds/src", "operator/src")
        environment = kube.environment | {
            "PYTHONPATH": os.pathsep.join(str(ROOT / s) for s in sources),
            "SMBFERRY_AGENT_IMAGE": "smbferry-agent:dev",
            "SMBFERRY_WATCH_NAMESPACES": kube.namespace,
            "SMBFERRY_LEASE_NAMESPACE": kube.namespace,
            "SMBFERRY_LEASE_NAME": LEASE,
            "SMBFERRY_POD_NAME": name,
            "SMBFERRY_HEALTH_PORT": str(port),
            "SMBFERRY_METRICS_PORT": str(port + 1),
        }
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "smbferry_operator.main"], env=environment, stdout=out, stderr=out
            )

    def probe(self, path: str = "readyz", timeout: float = 1) -> dict[str, Any]:
        """What a probe says; empty while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{path}", timeout=timeout) as answer:
                return dict(json.load(answer))
        except (urllib.error.URLError, OSError):
            return {}

    @property
    def leads(self) -> bool:
        """Whether it may write right now."""
        return bool(self.probe().get("leading"))

    def wait(self, *, leading: bool, seconds: float) -> float:
        """Waits until it is ready and leads, or does not; returns the seconds that it took.

        Raises:
            AssertionError: not within the time; with its log.
        """
        began = time.monotonic()
        while self.probe().get("leading") is not leading:
            assert time.monotonic() - began < seconds, f"leading is not {leading}:\n{self.log.read_text()[-3000:]}"
            time.sleep(0.1)
        return time.monotonic() - began

    def end(self) -> None:
        """Kills it, if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()


@contextmanager
def operator(kube: Kube, name: str, number: int, folder: Path) -> Iterator[Operator]:
    """An operator that is gone afterwards."""
    made = Operator(kube, name, FIRST_PORT + 10 * number, folder / f"{name}.log")
    try:
        yield made
    finally:
        made.end()


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


def test_a_leader_that_is_killed_is_succeeded_in_time(pair: tuple[Operator, Operator]) -> None:
    leader, standby = pair
    leader.process.kill()
    took = standby.wait(leading=True, seconds=TAKEOVER_SECONDS)
    print(f"takeover after kill -9: {took:.1f} s")  # noqa: T201 - the figure for docs/performance.md


def test_a_leader_that_is_told_to_stop_hands_over_at_once(pair: tuple[Operator, Operator]) -> None:
    leader, standby = pair
    leader.process.terminate()
    took = standby.wait(leading=True, seconds=HANDOVER_SECONDS)
    assert leader.process.wait(timeout=20) == 0
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
