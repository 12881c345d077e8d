"""The part with checks: many locations of a few identities, with an hour played in minutes."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from lab.bench_operator import judges, measured
from lab.bench_operator.agents import Agents
from lab.bench_operator.figures import REPO, peak_memory, say, wait
from lab.bench_operator.scene import Scene
from lab.support.cluster.api import at_once
from lab.support.cluster.kube import is_
from lab.support.cluster.process import operator

if TYPE_CHECKING:
    from pathlib import Path

    from lab.bench_operator.figures import Figures
    from lab.bench_operator.scene import Size
    from lab.support.cluster.api import Api
    from lab.support.cluster.kube import Kube
    from lab.support.cluster.process import Operator

PODS_AN_HOUR_PER_IDENTITY = 1.5
NEW, NEW_WITHIN = 20, 15.0
LATE = 0.1
"""How much later than its interval a check may be, as a part of the interval."""


class Checks:
    """Locations and identities that are due again and again."""

    def __init__(self, api: Api, kube: Kube, size: Size, folder: Path, figures: Figures) -> None:
        self._api = api
        self._kube = kube
        self._size = size
        self._folder = folder
        self._figures = figures
        self._scene = Scene(api, kube.namespace, size)

    def measure(self, hour: float) -> None:
        """A first hour in which everything falls into step, and a second one that counts.

        Args:
            hour: the seconds in which an hour is played.
        """
        size, spec = self._size, {"checkInterval": f"{hour:.0f}s"}
        say(f"making {size.locations} locations of {size.identities} identities")
        names = [f"loc-{n}" for n in range(size.locations)]
        # Spread over an hour that begins when all of them exist.
        self._scene.make_locations([(name, size.server("work", n), n) for n, name in enumerate(names)], hour, **spec)
        beats = self._folder / "checks.jsonl"
        with ExitStack() as stack:
            agents = stack.enter_context(Agents(self._api, self._kube.namespace, hour))
            program = measured.program(REPO, beats)
            running = stack.enter_context(operator(self._kube, "checks", 2, self._folder, program))
            wait("the operator", lambda: running.leads, 120)
            say(f"  a first hour, played in {hour:.0f} s")
            time.sleep(hour)
            say("  the hour that counts")
            began = time.monotonic()
            time.sleep(hour)
            self._judge(agents, names, began, hour)
            self._new_ones(spec)
            self._judge_operator(running, measured.read(beats))

    def _judge(self, agents: Agents, names: list[str], began: float, hour: float) -> None:
        until = began + hour
        pods = sum(began <= moment < until for moment in agents.check_jobs)
        late = judges.overdue(names, agents.checks, began, until, (1 + LATE) * hour)
        about = f"{len(names):,} locations of {self._size.identities} identities"
        most = PODS_AN_HOUR_PER_IDENTITY * self._size.identities
        self._figures.add(f"{about}: check pods in an hour", "pods", most, pods)
        self._figures.add(f"{about}: not checked in their hour", "locations", 0, len(late))

    def _new_ones(self, spec: dict[str, str]) -> None:
        """Locations that appear one after another: how long until each is Ready."""
        delays = []
        for number in range(NEW):
            name, began = f"new-{number}", time.monotonic()
            self._scene.new_location(name, number, **spec)
            is_ready = is_("Ready", "True")
            wait(name, lambda name=name, is_ready=is_ready: is_ready(self._location(name)), 120, every=0.2)  # type: ignore[misc]
            delays.append(time.monotonic() - began)
        self._figures.add(f"{NEW} new locations, one after another: to Ready, longest", "s", NEW_WITHIN, max(delays))
        began = time.monotonic()
        together = [f"together-{number}" for number in range(NEW)]
        at_once(partial(self._scene.new_location, name, number, **spec) for number, name in enumerate(together))
        wait("new locations", lambda: all(is_("Ready", "True")(self._location(name)) for name in together), 120)
        self._figures.add(f"{NEW} new locations at once: to Ready", "s", NEW_WITHIN, time.monotonic() - began)

    def _location(self, name: str) -> dict[str, object]:
        return self._api.request("GET", f"{self._scene.path}/smblocations/{name}")

    def _judge_operator(self, running: Operator, seconds: list[measured.Second]) -> None:
        stood, worked = judges.longest_stand(seconds)
        self._figures.add("checks: the event loop's longest stand", "ms", 250, stood)
        self._figures.add("checks: the same, without waiting for a processor", "ms", 250, worked)
        self._figures.add("checks: seconds without the lease", "s", 0, judges.not_leading(seconds))
        self._figures.add("checks: memory of the operator, peak", "MiB", 300, peak_memory(running))
