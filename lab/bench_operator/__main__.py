"""`make bench-operator`: thousands of tasks against one operator, the real control plane and played nodes.

Nothing else may use the cluster meanwhile. Writes build/bench/operator.json and its part of docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import secrets
import signal
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING

from lab.bench_operator import kwok
from lab.bench_operator.agents import Agents
from lab.bench_operator.scene import Scene
from lab.smblab.progress import Progress
from lab.smblab.settings import current
from lab.support.cluster.api import OWN, Api, Object, at_once
from lab.support.cluster.chart import install_chart, uninstall_chart
from lab.support.cluster.kube import Kube, ended
from lab.support.cluster.process import Operator, operator
from lab.support.environment import lab_environment
from lab.support.skew import misplaced, unevenness, zipf
from prometheus_client.parser import text_string_to_metric_families

from smbferry_engine.plan.shard import Sketch, shards_of

if TYPE_CHECKING:
    from collections.abc import Callable

REPO = Path(__file__).resolve().parents[2]
RECORD = REPO / "build" / "bench" / "operator.json"
PAGE = REPO / "docs" / "performance.md"
BEGIN, END = "<!-- bench-operator: begin (written by `make bench-operator`) -->\n", "<!-- bench-operator: end -->\n"
MIB = 1 << 20
TASKS = 5000
PER_SECOND, SECONDS, AT_ONCE = 10, 30, 200
SHARDS, SKEWED_FILES, LARGE_FILE = 4, 200_000, 20 << 30
EXPECTED = {0: "Succeeded", 3: "PartiallySucceeded", 13: "Failed"}


@dataclass(frozen=True)
class Figure:
    """One measured figure against what is wanted: found at most `wanted`."""

    title: str
    unit: str
    wanted: float
    found: float

    @property
    def reached(self) -> bool:
        """Whether it is good enough."""
        return self.found <= self.wanted


def say(text: str) -> None:
    """Progress, for the person who waits."""
    sys.stderr.write(f"{text}\n")


def wait(what: str, holds: Callable[[], bool], seconds: float) -> float:
    """Seconds until it holds.

    Raises:
        TimeoutError: it did not within the time.
    """
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.2)
    return time.monotonic() - began


def metrics(text: str) -> dict[str, float]:
    """Sums over all series of each metric."""
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return sums


def figures_of(running: Operator) -> dict[str, float]:
    """The operator's own metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{running.port + 1}/metrics", timeout=30) as answer:
        return metrics(answer.read().decode())


class Bench:
    """The phases and what they share."""

    def __init__(
        self, api: Api, kube: Kube, scene: Scene, agents: Agents, folder: Path, *, idle_seconds: float
    ) -> None:
        self._api = api
        self._agents = agents
        self._kube = kube
        self._scene = scene
        self._folder = folder
        self._quiet = 0.0
        self._idle_seconds = idle_seconds
        self.figures: list[Figure] = []

    def _found(self, title: str, unit: str, wanted: float, found: float) -> None:
        self.figures.append(Figure(title, unit, wanted, round(found, 2)))
        say(f"  {title}: {found:.2f} {unit} (at most {wanted:g} wanted)")

    def _settled(self, running: Operator) -> bool:
        probe = running.probe(timeout=5)
        if not probe.get("leading"):
            return False
        found = figures_of(running)
        idle = not found["smbferry_queue_length"] and not found["smbferry_queue_under_way"]
        return idle and found.get("smbferry_ready", 0.0) >= 3 * self._scene.tasks

    def first_start(self) -> None:
        """The first operator that ever sees these objects: it writes all their statuses. Not judged."""
        with operator(self._kube, "first", 0, self._folder) as running:
            took = wait("the first start", lambda: self._settled(running), 1200)
            say(f"  the first start took {took:.1f} s")

    def restart(self, running: Operator, began: float) -> None:
        """From the process' start until everything was looked at and nothing waits."""
        wait("the restart", lambda: self._settled(running), 300)
        self._found("restart to all reconciled", "s", 60, time.monotonic() - began)

    def idle(self, running: Operator) -> None:
        """Requests that the API server has beside those that it has without the operator."""
        found = self._request_rate()
        self._found("idle API requests", "1/s", 5, max(0.0, found - self._quiet))
        self.memory("resident memory", running)

    def memory(self, title: str, running: Operator) -> None:
        """What the operator's process has in memory now."""
        self._found(title, "MiB", 300, figures_of(running)["process_resident_memory_bytes"] / MIB)

    def quiet(self) -> None:
        """What the API server has to do without an operator."""
        self._quiet = self._request_rate()

    def _request_rate(self) -> float:
        before, began = self._requests(), time.monotonic()
        time.sleep(self._idle_seconds)
        return (self._requests() - before) / (time.monotonic() - began)

    def _requests(self) -> float:
        return metrics(self._api.text("/metrics"))["apiserver_request_total"]

    def steady(self) -> None:
        """New tasks at an even pace: how long until each has its Job."""
        applied: dict[str, float] = {}
        began = time.monotonic()
        for number in range(PER_SECOND * SECONDS):
            time.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
            name = f"steady-{number}"
            self._scene.new_task(name, number % self._scene.tasks)
            applied[name] = time.monotonic()
        wait("all Jobs", lambda: len(self._agents.seen) >= len(applied), 120)
        delays = [self._agents.seen[name] - moment for name, moment in applied.items()]
        wait("all runs", lambda: self._ended(len(applied)), 300)
        self._found("apply to Job, median", "s", 2, quantiles(delays, n=100)[49])
        self._found("apply to Job, p99", "s", 2, quantiles(delays, n=100)[98])

    def crowd(self) -> None:
        """Many runs at once: each ends in the state that its agent's exit code asks for."""
        before = len(self._runs())
        codes = {f"crowd-{n}": (0, 0, 3, 13)[n % 4] for n in range(AT_ONCE)}
        began = time.monotonic()
        at_once(partial(self._scene.new_task, name, number, exit_code=codes[name]) for number, name in enumerate(codes))
        wait("all runs", lambda: self._ended(before + AT_ONCE), 600)
        say(f"  {AT_ONCE} runs at once ended after {time.monotonic() - began:.1f} s")
        states = {run["spec"]["taskRef"]["name"]: run["status"]["state"] for run in self._runs()}
        wrong = sum(states.get(name) != EXPECTED[code] for name, code in codes.items())
        self._found(f"of {AT_ONCE} runs at once, in a wrong state", "runs", 0, wrong)

    def sharding(self) -> None:
        """A large, skewed tree, surveyed as an agent surveys it and cut for four agents."""
        tree = zipf(1, files=SKEWED_FILES) | {"folder 0250\\disk.vhdx": LARGE_FILE}
        survey = Sketch()
        for path, size in tree.items():
            survey.add(path, size)
        shards = shards_of(survey.cuts(SHARDS))
        self._found(f"work of the busiest of {len(shards)} shards, to the mean", "x", 1.3, unevenness(tree, shards))
        title = f"of {len(tree):,} files, in no shard, in two, or not whole"
        self._found(title, "files", 0, len(misplaced(tree, shards)))

    def _runs(self) -> list[Object]:
        return list(self._api.request("GET", f"{OWN}/namespaces/{self._kube.namespace}/transferruns")["items"])

    def _ended(self, count: int) -> bool:
        time.sleep(1)
        return sum(map(ended, self._runs())) >= count


def main(options: argparse.Namespace) -> int:
    """Measure, judge, write."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))  # the real nodes must not stay cordoned
    environment = lab_environment()
    progress = Progress(current().cache / "durations.json")
    program = kwok.program(progress)
    kubeconfig = current().kubeconfig
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kube = Kube(environment, f"bench-{secrets.token_hex(3)}")
        install_chart(environment, "replicas=0")  # for its CRDs: the operator that is measured is a process of ours
        stack.callback(uninstall_chart, environment)
        kube.kubectl("create", "namespace", kube.namespace)
        stack.callback(kube.kubectl, "delete", "namespace", kube.namespace, "--wait=false")
        api = Api(kubeconfig)
        stack.enter_context(kwok.nodes(api, program, kubeconfig, folder / "kwok.log"))
        scene = Scene(api, kube.namespace, options.tasks)
        say(f"making {options.tasks} tasks with their locations")
        scene.make()
        agents = stack.enter_context(Agents(api, kube.namespace))
        bench = Bench(api, kube, scene, agents, folder, idle_seconds=options.idle_seconds)
        bench.first_start()
        bench.quiet()
        began = time.monotonic()
        running = stack.enter_context(operator(kube, "second", 1, folder))
        bench.restart(running, began)
        bench.idle(running)
        bench.steady()
        bench.crowd()
        bench.memory("resident memory at the end", running)
        bench.sharding()
    write(bench.figures, options.tasks)
    return 0 if all(figure.reached for figure in bench.figures) else 1


def write(figures: list[Figure], tasks: int) -> None:
    """The record, and the table in the documentation."""
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    rows = [{**asdict(figure), "reached": figure.reached} for figure in figures]
    RECORD.write_text(json.dumps({"version": 1, "tasks": tasks, "figures": rows}, indent=2) + "\n")
    if tasks == TASKS:  # a trial leaves the page as it is
        PAGE.write_text(page(PAGE.read_text(), figures, tasks))


def page(text: str, figures: list[Figure], tasks: int) -> str:
    """The documentation's page with the figures between its markers.

    Raises:
        ValueError: the page has no such markers.
    """
    lines = [f"{tasks:,} tasks with {2 * tasks:,} locations.\n", "| figure | wanted | found |", "|---|---|---|"]
    lines += [f"| {f.title} | at most {f.wanted:g} {f.unit} | {f.found:g} {f.unit} |" for f in figures]
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    return text[:begin] + "\n" + "\n".join(lines) + "\n\n" + text[end:]


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench_operator")
    parser.add_argument("--tasks", type=int, default=TASKS, help="fewer for a trial")
    parser.add_argument("--idle-seconds", type=float, default=60, help="how long requests are counted")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(arguments()))
