"""`make bench`: the engine and its peers side by side on the lab's shares in memory.

Run inside the lab's tools container: `lab/lab tools -- python3 -m lab.bench`. Writes build/bench/engine.json and,
after a whole run, docs/performance.md (between its markers) and docs/images/performance.svg.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from lab.bench import machine, plot, report
from lab.bench.cases import MIB, ROUND_TRIP, Case, Tree, Unit, Work, cases
from lab.bench.measure import ClientError
from lab.bench.peers import PEERS, Peer
from lab.bench.results import Row, document, summarise
from lab.bench.runner import Runner
from lab.bench.scene import BenchError, Scene
from lab.bench.schedule import Clock, Step, steps_of
from lab.support.domain.domain import Domain
from lab.support.domain.machine import DomainError

if TYPE_CHECKING:
    from collections.abc import Sequence

REPO = Path(__file__).resolve().parents[2]
PAGE = REPO / "docs" / "performance.md"
PICTURE = REPO / "docs" / "images" / "performance.svg"
RECORD = REPO / "build" / "bench" / "engine.json"
PORT = 445
WARM_UP = Case("warm-up", "", Work.COPY, Unit.BYTES, Tree("warm-up", (4 * MIB,), single=True), 1)


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    names = [case.name for case in cases(1.0)]
    parser = argparse.ArgumentParser(prog="python3 -m lab.bench", description="Speed, side by side with peers.")
    parser.add_argument("--scale", type=float, default=1.0, help="sizes and counts, 1.0 being the real ones")
    parser.add_argument("--rounds", type=int, default=5, help="at most so many; a case may have fewer")
    parser.add_argument("--cases", nargs="+", choices=names, default=names, metavar="CASE", help=" ".join(names))
    peers = [peer.name for peer in PEERS]
    parser.add_argument("--peers", nargs="+", choices=peers, default=peers, metavar="PEER", help=" ".join(peers))
    parser.add_argument("--budget", type=float, default=30.0, help="minutes; past them no further round is begun")
    return parser.parse_args(words)


def say(text: str) -> None:
    """Progress, for the person who waits."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def main(options: argparse.Namespace) -> int:
    """Measure, judge, write."""
    chosen = [case for case in cases(options.scale) if case.name in options.cases]
    peers = [peer for peer in PEERS if peer.name in options.peers]
    domain = Domain.from_environment()
    with ExitStack() as stack:
        scene = stack.enter_context(Scene(domain))
        delayed = stack.enter_context(machine.delay_proxy(domain.address, PORT, ROUND_TRIP / 2))
        os.environ["PYTHONPATH"] = os.pathsep.join(
            [str(REPO), str(REPO / "crds" / "src"), str(REPO / "agent_image" / "src")]
        )
        ports = {0.0: (domain.address, PORT), ROUND_TRIP: ("127.0.0.1", delayed)}
        runner = Runner(scene, ports, os.environ["KRB5_CONFIG"])
        facts = machine.describe(domain) | costs(peers)
        clock = Clock(options.budget * 60, known_seconds(options.scale))
        rows = Bench(runner, clock, options.rounds).run(chosen, peers)
    facts["cipher"] = ", ".join(sorted(runner.ciphers)) or "not seen"
    write(options, facts, chosen, rows)
    return 1 if any(row.error for row in rows) else 0


def costs(peers: Sequence[Peer]) -> dict[str, object]:
    """What the bench's own parts cost: the proxy, and starting a program that is timed from its start."""
    ceiling = machine.proxy_ceiling()
    carried = f"{ceiling['bytes_per_second'] / 1e6:,.0f} MB/s"
    loopback = f"{ceiling['loopback_bytes_per_second'] / 1e6:,.0f} MB/s"
    found: dict[str, object] = {
        "delay proxy": f"carries {carried} (loopback itself: {loopback}), "
        f"round trip {ceiling['round_trip_seconds'] * 1000:.2f} ms"
    }
    starts = {peer.start[0]: machine.start_seconds(peer.start) for peer in peers if peer.start}
    if starts:
        found["start-up in a command's time"] = ", ".join(f"{name} {took:.2f} s" for name, took in starts.items())
    return found


class Bench:
    """All cases, one after the other, within the budget."""

    def __init__(self, runner: Runner, clock: Clock, rounds: int) -> None:
        self._runner = runner
        self._clock = clock
        self._rounds = rounds

    def run(self, chosen: Sequence[Case], peers: Sequence[Peer]) -> list[Row]:
        """Every measurement that the budget has room for."""
        self._warm_up(peers)
        plans = [(case, steps_of(case, peers, self._rounds)) for case in chosen]
        rows: list[Row] = []
        for index, (case, steps) in enumerate(plans):
            later = [step for _, others in plans[index + 1 :] for step in others]
            if steps:
                say(f"{case.title}: preparing")
                self._runner.prepare(case)
                rows += self._case(steps, later)
                self._runner.finish(case)
        return rows

    def _warm_up(self, peers: Sequence[Peer]) -> None:
        """Each client once, on little, so that its program and libraries are in the page cache."""
        self._runner.prepare(WARM_UP)
        for peer in peers:
            if Work.COPY in peer.works:
                row = self._runner.measure(Step(WARM_UP, peer, 0))
                say(f"warm-up: {peer.title}: {row.error or 'ready'}")
        self._runner.finish(WARM_UP)

    def _case(self, steps: list[Step], later: list[Step]) -> list[Row]:
        rows = []
        left = list(steps)
        while left:
            affordable = self._clock.affordable([*left, *later])
            step = left.pop(0)
            if step not in affordable:
                continue
            started = time.monotonic()
            row = self._measure(step)
            self._clock.took(step, time.monotonic() - started)
            rows.append(row)
            minutes = self._clock.left([*left, *later]) / 60
            say(f"  {self._shown(step, row)} · about {minutes:.0f} min left")
        return rows

    def _measure(self, step: Step) -> Row:
        if step.round == 0:
            try:
                self._runner.check(step.peer, step.case)
            except ClientError as error:
                return Row.failed(step.case.name, step.peer.name, step.round, str(error))
        return self._runner.measure(step)

    @staticmethod
    def _shown(step: Step, row: Row) -> str:
        name = f"round {step.round + 1} {step.peer.title}"
        if row.error is not None:
            return f"{name}: {row.error}"
        done = row.bytes if step.case.unit is Unit.BYTES else row.files
        return f"{name}: {report.rate(done / row.seconds, step.case.unit)} in {row.seconds:.2f} s"


def known_seconds(scale: float) -> dict[tuple[str, str], float]:
    """How long each measurement took the last time, where that was at the same scale."""
    if not RECORD.exists():
        return {}
    record = json.loads(RECORD.read_text())
    if record["scale"] != scale:
        return {}
    # Preparing and checking take about as long again.
    return {(one["case"], one["peer"]): 2 * one["seconds"] for one in record["summaries"] if one["error"] is None}


def write(options: argparse.Namespace, facts: dict[str, object], chosen: Sequence[Case], rows: Sequence[Row]) -> None:
    """The record always; page and picture only after a whole run, so that they hold no trial's figures."""
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    found = document(machine=facts, scale=options.scale, cases=chosen, rows=rows)
    RECORD.write_text(json.dumps(found, indent=1) + "\n")
    generated = report.render(machine=facts, scale=options.scale, cases=chosen, rows=rows)
    sys.stdout.write(f"{generated}\n")
    names = ({case.name for case in chosen}, {row.peer for row in rows})
    if options.scale == 1.0 and names == ({case.name for case in cases(1.0)}, {peer.name for peer in PEERS}):
        PAGE.write_text(report.merge(PAGE.read_text(), generated))
        PICTURE.write_text(plot.render(plot.groups(chosen, summarise(chosen, rows))))


def stop(number: int, _frame: object) -> None:
    """End in order: users and trees of the bench must not stay in the domain."""
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    try:
        sys.exit(main(arguments()))
    except (BenchError, ClientError, DomainError) as error:
        sys.exit(f"bench: {error}")
