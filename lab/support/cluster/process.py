"""An operator as a process of this machine, with a lease and a namespace of its own, to be killed and frozen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from lab.support.cluster.chart import ROOT
from lab.support.cluster.kube import holder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lab.support.cluster.kube import Kube

LEASE = "standby-test"
FIRST_PORT = 28080
WHOLE = "from smbferry_operator.main import main; raise SystemExit(main([]))"


class Operator:
    """One process."""

    def __init__(
        self, kube: Kube, name: str, port: int, log: Path, program: str, *, settings: Mapping[str, str]
    ) -> None:
        self.kube = kube
        self.name = name
        self.port = port
        self.log = log
        sources = ("crds/src", "operator/src")
        environment = kube.environment | {
            "MALLOC_ARENA_MAX": "2",  # as in its image
            "PYTHONPATH": os.pathsep.join(str(ROOT / s) for s in sources),
            "SMBFERRY_AGENT_IMAGE": "smbferry-agent:dev",
            "SMBFERRY_RUNS_PER_SERVER": "none",
            "SMBFERRY_RUNS": "none",
            "SMBFERRY_WATCH_NAMESPACES": kube.namespace,
            "SMBFERRY_LEASE_NAMESPACE": kube.namespace,
            "SMBFERRY_LEASE_NAME": LEASE,
            "SMBFERRY_POD_NAME": name,
            "SMBFERRY_HEALTH_PORT": str(port),
            "SMBFERRY_METRICS_PORT": str(port + 1),
            **settings,
        }
        with log.open("ab") as out:
            self.process = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=out, stderr=out)

    def probe(self, path: str = "readyz", timeout: float = 1) -> dict[str, Any]:
        """What a probe says; empty while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{path}", timeout=timeout) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as refusal:
            return dict(json.load(refusal))
        except (urllib.error.URLError, OSError):
            return {}

    @property
    def leads(self) -> bool:
        """Whether it may write right now."""
        return bool(self.probe().get("leading"))

    def holds_the_lease(self) -> bool:
        """Whether the lease names it, acting or not, living or not."""
        lease = self.kube.get("lease", LEASE)
        assert lease is not None
        return holder(lease).startswith(self.name)

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
def operator(
    kube: Kube,
    name: str,
    number: int,
    folder: Path,
    program: str = WHOLE,
    *,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Operator]:
    """An operator that is gone afterwards.

    Args:
        settings: further variables of its environment.
    """
    made = Operator(kube, name, FIRST_PORT + 10 * number, folder / f"{name}.log", program, settings=settings)
    try:
        yield made
    finally:
        made.end()
