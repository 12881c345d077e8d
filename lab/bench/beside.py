"""A run beside somebody who works on the same server: `lab/lab tools -- python3 -m lab.bench.beside`.

Four measurements for each case: the neighbor alone, the run alone, both, and both with a run that gives way. Writes
build/bench/beside.json and, at scale 1, the table in docs/performance.md between its markers.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from lab.bench import measure
from lab.bench.__main__ import PAGE, PORT, REPO, say, stop
from lab.bench.beside_figures import ALONE, BEGIN, BESIDE, END, IDLE, POLITE, Found, table, verdict, within
from lab.bench.cases import KIB, MIB, SMALL_FILE, Tree, Unit, Work
from lab.bench.job import Job, Side
from lab.bench.measure import ClientError
from lab.bench.neighbor_worker import READ_BYTES, READY
from lab.bench.peers import engine_verified
from lab.bench.report import merge
from lab.bench.runner import OUTPUT, TIMEOUT_SECONDS
from lab.bench.scene import DESTINATION, FILE, SOURCE, BenchError, Scene
from lab.support.domain.domain import Domain
from lab.support.domain.machine import DomainError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from subprocess import Popen

RECORD = REPO / "build" / "bench" / "beside.json"
ALONE_SECONDS = 20.0
# The neighbor's first requests open its connection and warm its library up.
SETTLE_SECONDS = 2.0
THEIRS = Tree("beside-file", (READ_BYTES,), single=True)


@dataclass(frozen=True, slots=True)
class Beside:
    """A case: what the run copies."""

    name: str
    title: str
    unit: Unit
    tree: Tree


def cases(scale: float) -> list[Beside]:
    """Few large files, and many small ones."""
    large = Tree("beside-large", (max(MIB, round(512 * MIB * scale)),) * 6)
    small = Tree("beside-small", (SMALL_FILE,) * max(1, round(20_000 * scale)))
    return [
        Beside("large", f"{large.files} x {large.sizes[0] / MIB:.0f} MiB, verified", Unit.BYTES, large),
        Beside("small", f"{small.files:,} x {SMALL_FILE // KIB} KiB, verified", Unit.FILES, small),
    ]


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python3 -m lab.bench.beside", description="A run beside a neighbor.")
    parser.add_argument("--scale", type=float, default=1.0, help="sizes and counts, 1.0 being the real ones")
    parser.add_argument("--rounds", type=int, default=3, help="medians of so many")
    parser.add_argument("--factor", type=float, default=1.2, help="the latency factor of the run that gives way")
    parser.add_argument("--cases", nargs="+", choices=[case.name for case in cases(1.0)], default=None)
    return parser.parse_args(words)


class Street:
    """Where both work."""

    def __init__(self, scene: Scene, factor: float) -> None:
        self._scene = scene
        self._factor = factor
        scene.prepare(THEIRS)

    def measure(self, case: Beside, kind: str) -> Found:
        """One measurement.

        Raises:
            ClientError: the run or the neighbor failed.
        """
        if kind == ALONE:
            with self._neighbor() as heard:
                time.sleep(SETTLE_SECONDS)
                began = time.monotonic()
                time.sleep(ALONE_SECONDS)
            return Found(case.name, kind, 0.0, within(heard, began, time.monotonic()))
        if kind == IDLE:
            return Found(case.name, kind, self._rate(case, self._copy(case, 0.0)))
        with self._neighbor() as heard:
            time.sleep(SETTLE_SECONDS)
            began, ended = copying = self._copy(case, self._factor if kind == POLITE else 0.0)
        return Found(case.name, kind, self._rate(case, copying), within(heard, began, ended))

    @staticmethod
    def _rate(case: Beside, copying: tuple[float, float]) -> float:
        began, ended = copying
        return (case.tree.bytes if case.unit is Unit.BYTES else case.tree.files) / (ended - began)

    def _copy(self, case: Beside, factor: float) -> tuple[float, float]:
        """Copy the tree; returns when copying began, after the idle server was measured, and when it ended."""
        self._scene.empty_destination(OUTPUT)
        job = replace(self._job(case.tree), latency_factor=factor)
        used = measure.run(engine_verified(job), self._scene.scratch, timeout=TIMEOUT_SECONDS)
        began, ended = json.loads(used.outputs[0])["copying"]
        return began, ended

    @contextlib.contextmanager
    def _neighbor(self) -> Iterator[list[list[float]]]:
        """Somebody who works while the block is entered; what each request took is there afterwards."""
        heard: list[list[float]] = []
        argv = (sys.executable, "-m", "lab.bench.neighbor_worker", self._job(THEIRS).to_json())
        with subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                _await_ready(process)
                yield heard
                said, errors = process.communicate(timeout=TIMEOUT_SECONDS)
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise ClientError(f"the neighbor ended with {process.returncode}: {errors.strip()[-400:]}")
        heard += json.loads(said)

    def _job(self, tree: Tree) -> Job:
        scene = self._scene
        scratch = scene.scratch / "tree"
        scratch.mkdir(exist_ok=True)
        return Job(
            work=Work.TREE,
            server=scene.domain.server,
            address=scene.domain.address,
            port=PORT,
            krb5_config=os.environ["KRB5_CONFIG"],
            source=Side(SOURCE, scene.path(tree.name), scene.source.principal, scene.source.ccache),
            destination=Side(DESTINATION, scene.path(OUTPUT), scene.destination.principal, scene.destination.ccache),
            name=FILE if tree.single else "",
            size=tree.bytes if tree.single else 0,
            local="",
            scratch=str(scratch),
        )


def _await_ready(process: Popen[str]) -> None:
    """Wait until the neighbor has connected; raises :class:`ClientError` if it could not."""
    assert process.stderr is not None
    said = process.stderr.readline()
    if said != READY:
        raise ClientError(f"the neighbor could not begin: {(said + process.stderr.read())[-400:]}")


def main(options: argparse.Namespace) -> None:
    """Measure and write."""
    chosen = [case for case in cases(options.scale) if options.cases is None or case.name in options.cases]
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(REPO), str(REPO / "crds" / "src"), str(REPO / "agent_image" / "src")]
    )
    found: list[Found] = []
    with Scene(Domain.from_environment()) as scene:
        street = Street(scene, options.factor)
        for case in chosen:
            say(f"{case.title}: preparing")
            scene.prepare(case.tree)
            for number in range(options.rounds):
                kinds = [ALONE, IDLE, BESIDE, POLITE]
                for kind in kinds[number % 4 :] + kinds[: number % 4]:
                    found.append(street.measure(case, kind))
                    say(f"  round {number + 1} {kind}: done")
            scene.forget(case.tree)
    write(options, chosen, found)


def write(options: argparse.Namespace, chosen: Sequence[Beside], found: Sequence[Found]) -> None:
    """The record always; the page only if everything was measured at its real size."""
    titles = {case.name: (case.title, case.unit) for case in chosen}
    generated = f"{table(found, titles, options.factor)}\n\n{verdict(found, titles)}"
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    RECORD.write_text(json.dumps({"factor": options.factor, "found": [asdict(one) for one in found]}) + "\n")
    sys.stdout.write(f"{generated}\n")
    if options.scale == 1.0 and options.cases is None:
        PAGE.write_text(merge(PAGE.read_text(), generated, BEGIN, END))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    try:
        main(arguments())
    except (BenchError, ClientError, DomainError) as error:
        sys.exit(f"bench: {error}")
