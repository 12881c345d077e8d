"""`make bench-operator`: thousands of tasks against one operator, the real control plane and played nodes.

Nothing else may use the cluster meanwhile. Writes build/bench/operator.json and its part of docs/performance.md.
"""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lab.bench_operator import kwok
from lab.bench_operator.checks import Checks
from lab.bench_operator.figures import RECORD, Figures, say
from lab.bench_operator.scene import Size
from lab.bench_operator.work import Work
from lab.smblab.progress import Progress
from lab.smblab.settings import current
from lab.support.cluster.api import Api
from lab.support.cluster.chart import install_chart, uninstall_chart
from lab.support.cluster.kube import Kube
from lab.support.environment import lab_environment
from lab.support.skew import misplaced, unevenness, zipf

from smbferry_engine.plan.shard import Sketch, shards_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARDS, SKEWED_FILES, LARGE_FILE = 4, 200_000, 20 << 30
PARTS = ("work", "checks", "shards")
HOUR_SECONDS = 240.0


def main(options: argparse.Namespace) -> int:
    """Measure, judge, write."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))  # the real nodes must not stay cordoned
    figures, size = Figures(), Size().scaled(options.scale)
    if {"work", "checks"} & set(options.parts):
        in_the_cluster(options, size, figures)
    if "shards" in options.parts:
        sharding(figures)
    whole = options.scale == 1 and tuple(options.parts) == PARTS and options.hour_seconds == HOUR_SECONDS
    figures.write(about(size, options.hour_seconds), whole=whole)
    say(f"{'all figures are good enough' if figures.reached else 'NOT GOOD ENOUGH'}: {RECORD}")
    return 0 if figures.reached else 1


def in_the_cluster(options: argparse.Namespace, size: Size, figures: Figures) -> None:
    """The parts that need a cluster, each with an operator and a namespace of its own."""
    environment, kubeconfig = lab_environment(), current().kubeconfig
    program = kwok.program(Progress(current().cache / "durations.json"))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        install_chart(environment, "replicas=0")  # for its CRDs: the operator that is measured is a process of ours
        stack.callback(uninstall_chart, environment)
        api = Api(kubeconfig)
        stack.enter_context(kwok.nodes(api, program, kubeconfig, folder / "kwok.log"))
        if "work" in options.parts:
            with namespace(environment) as kube:
                Work(api, kube, size, folder, figures).measure(options.idle_seconds)
        if "checks" in options.parts:
            with namespace(environment) as kube:
                Checks(api, kube, size, folder, figures).measure(options.hour_seconds)


@contextmanager
def namespace(environment: dict[str, str]) -> Iterator[Kube]:
    """One that is deleted afterwards, in the background."""
    kube = Kube(environment, f"bench-{secrets.token_hex(3)}")
    kube.kubectl("create", "namespace", kube.namespace)
    try:
        yield kube
    finally:
        kube.kubectl("delete", "namespace", kube.namespace, "--wait=false")


def sharding(figures: Figures) -> None:
    """A large, skewed tree, surveyed as an agent surveys it and cut for four agents."""
    tree = zipf(1, files=SKEWED_FILES) | {"folder 0250\\disk.vhdx": LARGE_FILE}
    survey = Sketch()
    for path, size in tree.items():
        survey.add(path, size)
    shards = shards_of(survey.cuts(SHARDS))
    figures.add(f"work of the busiest of {len(shards)} shards, to the mean", "x", 1.3, unevenness(tree, shards))
    title = f"of {len(tree):,} files, in no shard, in two, or not whole"
    figures.add(title, "files", 0, len(misplaced(tree, shards)))


def about(size: Size, hour_seconds: float) -> str:
    """What was measured, for the page."""
    return (
        f"{size.tasks:,} active tasks with {2 * size.tasks:,} locations and {size.tasks * size.kept:,} ended runs,"
        f" {size.queued:,} queued runs, and a herd of {size.herd:,} on {size.servers} servers with a limit of"
        f" {size.limit}. Checks: an hour is played in {hour_seconds:.0f} s."
    )


def parts(text: str) -> tuple[str, ...]:
    """Names of parts, separated by commas; they are done in the usual order.

    Raises:
        argparse.ArgumentTypeError: there is no such part.
    """
    asked = set(text.split(","))
    if unknown := asked - set(PARTS):
        raise argparse.ArgumentTypeError(f"expected {', '.join(PARTS)}; got {', '.join(sorted(unknown))}")
    return tuple(part for part in PARTS if part in asked)


def a_part_of_one(text: str) -> float:
    """The scale.

    Raises:
        ValueError: it is no number from 0 to 1.
    """
    scale = float(text)
    if not 0 < scale <= 1:
        raise argparse.ArgumentTypeError(f"expected a number above 0 and up to 1, got {text}")
    return scale


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench_operator")
    parser.add_argument("--parts", type=parts, default=PARTS, help=f"some of {','.join(PARTS)}; default: all")
    parser.add_argument("--scale", type=a_part_of_one, default=1.0, help="0.02 for a short trial; default: 1")
    parser.add_argument("--idle-seconds", type=float, default=30, help="how long requests are counted; default: 30")
    text = f"in how many seconds an hour of checks is played; default: {HOUR_SECONDS:.0f}"
    parser.add_argument("--hour-seconds", type=float, default=HOUR_SECONDS, help=text)
    return parser.parse_args(given)


if __name__ == "__main__":
    sys.exit(main(arguments()))
