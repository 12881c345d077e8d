"""The part with work: active tasks, a queue that stands, and a herd that is due at one moment."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import quantiles
from typing import TYPE_CHECKING

from lab.bench_operator import judges, measured
from lab.bench_operator.agents import Agents
from lab.bench_operator.figures import REPO, figures_of, metrics, peak_memory, say, wait
from lab.bench_operator.runs import Runs
from lab.bench_operator.scene import HERD, Scene, run_by_hand, task, task_of_the_herd
from lab.support.cluster.api import at_once
from lab.support.cluster.process import operator

if TYPE_CHECKING:
    from pathlib import Path

    from lab.bench_operator.figures import Figures
    from lab.bench_operator.scene import Size
    from lab.support.cluster.api import Api, Object
    from lab.support.cluster.kube import Kube
    from lab.support.cluster.process import Operator

# Fewer a second than end meanwhile: otherwise they would wait for room at their servers.
PER_SECOND, SECONDS, AT_ONCE = 4, 60, 200
EXPECTED = {0: "Succeeded", 3: "PartiallySucceeded", 13: "Failed"}
AHEAD = timedelta(seconds=75)
"""How long before they are due the last tasks of the herd exist at least."""


class Work:
    """The phases and what they share."""

    def __init__(self, api: Api, kube: Kube, size: Size, folder: Path, figures: Figures) -> None:
        self._api = api
        self._kube = kube
        self._folder = folder
        self._figures = figures
        self._scene = Scene(api, kube.namespace, size)
        self._agents = Agents(api, kube.namespace)
        self._runs = Runs(api, kube.namespace)
        self._size = size
        self._settings = {"SMBFERRY_RUNS_PER_SERVER": str(size.limit)}

    def measure(self, idle_seconds: float) -> None:
        """All phases."""
        size = self._size
        say(f"making {size.tasks} active tasks with {2 * size.tasks} locations and {size.tasks * size.kept} ended runs")
        self._scene.make()
        beats = self._folder / "work.jsonl"
        with ExitStack() as stack:
            stack.enter_context(self._agents)
            stack.enter_context(self._runs)
            self._first_start()
            quiet = self._request_rate(idle_seconds)
            began = time.monotonic()
            program = measured.program(REPO, beats)
            running = stack.enter_context(
                operator(self._kube, "work", 1, self._folder, program, settings=self._settings)
            )
            wait("the restart", lambda: self._settled(running), 300)
            self._figures.add("restart to all reconciled", "s", 60, time.monotonic() - began)
            rate = self._request_rate(idle_seconds) - quiet
            self._figures.add("API requests while there are only checks", "1/s", 10, max(0.0, rate))
            self._steady()
            self._crowd()
            self._fill_the_queue()
            self._herd()
            self._judge_operator(running, measured.read(beats))

    def _first_start(self) -> None:
        """The first operator that ever sees these objects: it writes their statuses. Not judged."""
        with operator(self._kube, "first", 0, self._folder, settings=self._settings) as running:
            took = wait("the first start", lambda: self._settled(running), 1200)
            say(f"  the first start took {took:.1f} s")

    def _settled(self, running: Operator) -> bool:
        time.sleep(1)  # a scrape of so many objects takes the operator half a second
        if not running.probe(timeout=5).get("leading"):
            return False
        found = figures_of(running)
        idle = not found["smbferry_queue_length"] and not found["smbferry_queue_under_way"]
        return idle and found.get("smbferry_ready", 0.0) >= self._scene.made

    def _request_rate(self, seconds: float) -> float:
        before, began = self._requests(), time.monotonic()
        time.sleep(seconds)
        return (self._requests() - before) / (time.monotonic() - began)

    def _requests(self) -> float:
        return metrics(self._api.text("/metrics"))["apiserver_request_total"]

    # --- Runs without a queue

    def _steady(self) -> None:
        """New tasks at an even pace: how long until each has its Job."""
        applied: dict[str, float] = {}
        began = time.monotonic()
        for number in range(PER_SECOND * SECONDS):
            time.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
            name = f"steady-{number}"
            self._scene.new_task(name, number % self._size.tasks)
            applied[name] = time.monotonic()
        wait("all Jobs", lambda: applied.keys() <= self._agents.seen.keys(), 120)
        delays = [self._agents.seen[name] - moment for name, moment in applied.items()]
        self._wait_for_ends("steady-", len(applied), 300)
        self._figures.add("apply to Job, median", "s", 2, quantiles(delays, n=100)[49])
        self._figures.add("apply to Job, p99", "s", 2, quantiles(delays, n=100)[98])

    def _crowd(self) -> None:
        """Many runs at once: each ends in the state that its agent's exit code asks for."""
        codes = {f"crowd-{n}": (0, 0, 3, 13)[n % 4] for n in range(AT_ONCE)}
        began = time.monotonic()
        at_once(
            partial(self._scene.new_task, name, number % self._size.tasks, exit_code=codes[name])
            for number, name in enumerate(codes)
        )
        runs = self._wait_for_ends("crowd-", AT_ONCE, 600)
        say(f"  {AT_ONCE} runs at once ended after {time.monotonic() - began:.1f} s")
        wrong = sum(runs[name]["status"]["state"] != EXPECTED[code] for name, code in codes.items())
        self._figures.add(f"of {AT_ONCE} runs at once, in a wrong state", "runs", 0, wrong)

    # --- The queue

    def _fill_the_queue(self) -> None:
        """At each server of the tasks as many runs as may work, which never end; all other runs wait behind them."""
        size = self._size
        held = [
            task(f"hold-{n}", n % size.servers, group="hold-", folder=f"hold-{n}", hold=True, trigger="one")
            for n in range(size.servers * size.limit)
        ]
        at_once(partial(self._scene.create, "transfertasks", body) for body in held)
        names = {body["metadata"]["name"] for body in held}
        wait("the runs that never end", lambda: names <= self._agents.seen.keys(), 120)
        at_once(
            partial(self._scene.create, "transferruns", run_by_hand(f"queued-{n}", f"task-{n}"))
            for n in range(size.queued)
        )
        wait("the queue", lambda: self._runs.queued >= size.queued, 900, every=5)
        say(f"  {size.queued} runs are queued")

    def _herd(self) -> None:
        """All its tasks are due at the same minute."""
        size, due = self._size, _minute_after(datetime.now(UTC) + AHEAD + timedelta(seconds=self._size.herd / 50))
        at_once(
            partial(self._scene.create, "transfertasks", task_of_the_herd(n, size.servers, due))
            for n in range(size.herd)
        )
        late = (datetime.now(UTC) - due).total_seconds()
        if late > 0:
            raise TimeoutError(f"the herd was complete {late:.0f} s after it was due: this machine is too slow")
        say(f"  {size.herd} tasks on {size.servers} servers are due at {due:%H:%M}")
        time.sleep(-late)
        began = time.monotonic()
        wait("the herd", lambda: self._runs.are_over(HERD, size.herd), 900)
        self._judge_herd(time.monotonic() - began)

    def _judge_herd(self, took: float) -> None:
        size, runs = self._size, self._runs.of(HERD)
        states = [run["status"]["state"] for run in runs]
        changes = [change for change in self._agents.changes if change.server.startswith(HERD)]
        most = judges.most_at_once(changes)
        waiters = [waiter for waiter in self._runs.waiters if waiter.server.startswith(HERD)]
        out_of_order = judges.overtaken(waiters, changes)
        for text in out_of_order[:5]:
            say(f"  out of order: {text}")
        say(f"  {len(waiters)} runs of the herd stood in line")
        add = self._figures.add
        add(f"herd of {size.herd}: agents at a server, most", "agents", size.limit, max(most.values(), default=0))
        add("herd: servers without a run", "servers", 0, size.servers - len(most))
        add("herd: runs too many or too few", "runs", 0, abs(len(runs) - size.herd))
        add("herd: runs that did not succeed", "runs", 0, len(runs) - states.count("Succeeded"))
        add("herd: runs out of order", "runs", 0, len(out_of_order))
        shown = max(size.herd // 2, 2 * size.servers * size.limit)  # otherwise their order shows little
        add("herd: runs that never stood in line", "runs", shown, size.herd - len(waiters))
        add("herd: from due to all done", "s", 600, took)
        add("queued runs that did not stay queued", "runs", 0, size.queued - self._runs.queued)

    # --- What is there

    def _wait_for_ends(self, prefix: str, count: int, seconds: float) -> dict[str, Object]:
        """The runs of the tasks with such names, by task, as soon as all have ended."""
        wait(f"all runs of {prefix}", lambda: self._runs.are_over(prefix, count), seconds)
        return {run["spec"]["taskRef"]["name"]: run for run in self._runs.of(prefix)}

    def _judge_operator(self, running: Operator, seconds: list[measured.Second]) -> None:
        decisions = [each for second in seconds for each in second.decisions]
        for name, found, wanted in zip(
            ("median", "p95", "p99"), judges.percentiles(decisions), (5, 20, 50), strict=True
        ):
            self._figures.add(f"a decision, {name} of {len(decisions):,}", "ms", wanted, found)
        stood, worked = judges.longest_stand(seconds)
        self._figures.add("the event loop's longest stand", "ms", 250, stood)
        self._figures.add("the event loop's longest stand, without waiting for a processor", "ms", 250, worked)
        self._figures.add("seconds without the lease", "s", 0, judges.not_leading(seconds))
        self._figures.add("memory of the operator, peak", "MiB", 300, peak_memory(running))


def _minute_after(moment: datetime) -> datetime:
    """The first full minute from then on."""
    whole = moment.replace(second=0, microsecond=0)
    return whole if whole == moment else whole + timedelta(minutes=1)
