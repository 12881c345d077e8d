"""`make nemesis`: kills whatever smbferry is made of and stands on, at random, while work streams in; then judges.

NEMESIS_SECONDS says for how long, NEMESIS_SEED which plan; the seed is printed, and the same seed is the same plan.
Nothing else may use the cluster meanwhile. What was done and found goes to build/reports/nemesis.json.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

from lab.nemesis.cluster import Cluster
from lab.nemesis.faults import Faults
from lab.nemesis.guarded import Guarded, Witness, ground
from lab.nemesis.limits import AT_LOCATION, AT_SERVER, LimitWatcher
from lab.nemesis.neighbor import Neighbor
from lab.nemesis.place import Place, place
from lab.nemesis.plan import Fault, plan
from lab.nemesis.record import Record
from lab.nemesis.stream import SHAPES, Actor
from lab.nemesis.watcher import Watcher, begun_anew, doubled_runs, resumed, secrets_told
from lab.nemesis.windows import Closings, Doorkeeper
from lab.smblab.keytab import parse
from lab.smblab.settings import current
from lab.support.cluster.api import Api
from lab.support.cluster.chart import ROOT, install_chart, uninstall_chart
from lab.support.cluster.kube import new_namespace
from lab.support.cluster.scene import new_scene
from lab.support.domain.domain import Domain
from lab.support.domain.member import Member
from lab.support.domain.trees import differences
from lab.support.environment import lab_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lab.nemesis.player import Player
    from lab.support.domain.domain import User

REPORT = ROOT / "build" / "reports" / "nemesis.json"
TAKEOVER_SECONDS = 20.0
INSTALLED = ("replicas=2", f"limits.runsPerServer={AT_SERVER}")


def say(text: str) -> None:
    """Progress, for the person who waits."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


class Threads:
    """Does things at once; an error in one of them is raised at the end."""

    def __init__(self, work: Iterable[Callable[[], None]]) -> None:
        self._errors: list[Exception] = []
        self._threads = [threading.Thread(target=self._run, args=(each,), daemon=True) for each in work]
        for thread in self._threads:
            thread.start()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - it is raised by join
            self._errors.append(error)

    def check(self) -> None:
        """Raises what one of them has met."""
        if self._errors:
            raise self._errors[0]

    def join(self) -> None:
        """Waits for all of them."""
        for thread in self._threads:
            thread.join()
        self.check()


def strike(faults: Faults, planned: list[Fault], began: float, seconds: float, play: Threads) -> None:
    """The plan, in time; what comes late because a fault took long comes at once."""
    for fault in planned:
        play.check()
        time.sleep(max(0.0, began + fault.at - time.monotonic()))
        now = time.monotonic() - began
        if now > seconds:
            return
        faults.strike(fault, now)
        told = faults.told[-1]
        say(f"{told['at']:6.1f} s  {told['kind']}: {told['victim'] or 'nobody there'}")


def judge(record: Record, faults: Faults, where: Place, users: Iterable[User], cluster: Cluster) -> None:
    """What only the end shows."""
    scene = where.scene
    for text in doubled_runs(cluster.list("transferruns")):
        record.violated("I6", f"a run was doubled: {text}")
    changed = differences(where.before, where.beside(), times=True)
    if changed:
        record.violated("I5", f"beside the destinations: {changed}")
    keys = {entry.key for user in users for entry in parse(user.keytab())}
    if told := secrets_told(scene.kube, keys):
        record.violated("I3", f"{len(told)} keys stand in logs or objects")
    for run in begun_anew(record.runs, faults.told):
        record.violated("I7", f"{run['run']} began anew after its agent was killed: {run['bytes']}")
    late = [t.seconds for t in faults.takeovers if t.stood_by and t.seconds > TAKEOVER_SECONDS]
    if late:
        record.violated("takeover", f"another operator led after {late} s, {TAKEOVER_SECONDS:.0f} s wanted")


def main(seconds: float, seed: int) -> int:
    """Play, judge, write."""
    say(f"seed {seed}, {seconds:.0f} s: NEMESIS_SEED={seed} replays its plan of faults")
    environment = lab_environment()
    domain = Domain.from_environment(environment)
    planned, record = plan(seed, seconds), Record()
    with ExitStack() as stack:
        install_chart(environment, *INSTALLED)
        stack.callback(uninstall_chart, environment)
        kube = new_namespace(environment)
        stack.callback(kube.kubectl, "delete", "namespace", kube.namespace, "--wait=false")
        scene = stack.enter_context(new_scene(kube, domain))
        where = stack.enter_context(place(scene))
        guarded = stack.enter_context(ground(scene, Member.from_environment(domain, environment)))
        cluster = Cluster(Api(current().kubeconfig), kube.namespace)
        hostile = new_namespace(environment, enforce="privileged")
        stack.callback(hostile.kubectl, "delete", "namespace", hostile.namespace, "--wait=false")
        faults = Faults(cluster, where, Neighbor(cluster, hostile.namespace), environment)
        closings = Closings()
        actors: list[Player] = [Actor(shape, seed, cluster, where, record, closings=closings) for shape in SHAPES]
        actors.append(Guarded(seed, cluster, guarded, record))
        for actor in actors:
            actor.prepare()
        say(f"{len(planned)} faults are planned, {len(actors)} tasks are at work")
        with (
            Watcher(cluster, record) as watcher,
            Witness(guarded, record) as witness,
            LimitWatcher(cluster, where.address, record) as limits,
            Doorkeeper(cluster, closings, record),
        ):
            began = time.monotonic()
            play = Threads([partial(actor.play, lambda: time.monotonic() - began > seconds) for actor in actors])
            strike(faults, planned, began, seconds, play)
            say("no more faults; what runs is waited for")
            play.join()
            say("a last run of each in peace")
            Threads([actor.settle for actor in actors]).join()
        users = (scene.reader, scene.writer, guarded.reader, guarded.writer)
        judge(record, faults, where, users, cluster)
        eyes = Eyes(watcher, witness, limits, closings)
        for rule, text in unseen(eyes):
            record.violated(rule, text)
    write((seed, seconds), record, faults, eyes)
    return 1 if record.violations else 0


@dataclass(frozen=True)
class Eyes:
    """Who looked on."""

    watcher: Watcher
    witness: Witness
    limits: LimitWatcher
    closings: Closings


def unseen(eyes: Eyes) -> Iterator[tuple[str, str]]:
    """What was to happen and did not, so that nothing was shown of it: the rule, and what is missing."""
    if not eyes.witness.seen:
        yield "I9", "not one access list was seen"
    if max(eyes.limits.most.values(), default=0) < AT_LOCATION:
        yield "limits", f"there were never {AT_LOCATION} agents at a server, so no run had to wait"
    if not eyes.closings.count:
        yield "windows", "no windows were closed"


def write(plan_of: tuple[int, float], record: Record, faults: Faults, eyes: Eyes) -> None:
    """The report, and the short of it for the person who waits."""
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    states: dict[str, int] = {}
    for run in record.runs:
        states[run["state"]] = states.get(run["state"], 0) + 1
    found = {
        "version": 1,
        "seed": plan_of[0],
        "seconds": plan_of[1],
        "violations": record.violations,
        "runs": states,
        "resumed": len(resumed(record.runs)),
        "agentsAtOnce": eyes.watcher.most,
        "looks": eyes.watcher.looks,
        "looksAtLists": eyes.witness.looks,
        "listsSeen": eyes.witness.seen,
        "agentsAtServers": dict(eyes.limits.most),
        "windowsClosed": eyes.closings.count,
        "takeovers": [asdict(takeover) for takeover in faults.takeovers],
        "faults": faults.told,
        "details": asdict(record)["runs"],
    }
    REPORT.write_text(json.dumps(found, indent=2) + "\n")
    say(f"{len(faults.told)} faults, runs {states}, {len(resumed(record.runs))} went on after an agent was lost")
    takeovers = ", ".join(f"{t.seconds} s{'' if t.stood_by else ' (nobody stood by)'}" for t in faults.takeovers)
    say(f"takeovers: {takeovers}; {eyes.watcher.looks} looks at {eyes.watcher.most} agents at most")
    say(f"{eyes.witness.seen} access lists seen in {eyes.witness.looks} looks")
    say(f"agents at servers at most: {dict(eyes.limits.most)}; windows were closed {eyes.closings.count} times")
    for violation in record.violations:
        say(f"VIOLATED {violation}")
    say(f"{'no invariant was violated' if not record.violations else 'FAILED'}: {REPORT}")


if __name__ == "__main__":
    if sys.argv[1:]:  # it changes the cluster at once: whoever asks for help must not get that
        sys.exit("lab.nemesis takes no arguments: set NEMESIS_SECONDS and NEMESIS_SEED, and run `make nemesis`")
    sys.exit(
        main(
            float(os.environ.get("NEMESIS_SECONDS") or 900),
            int(os.environ.get("NEMESIS_SEED") or secrets.randbelow(1 << 32)),
        )
    )
