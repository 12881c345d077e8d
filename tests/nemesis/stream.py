"""The stream of work under the faults: actors that edit sources, start and cancel runs, and look at every end."""

from __future__ import annotations

import random
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.cluster import objects
from tests.cluster.kube import ended
from tests.cluster.scene import DESTINATION, SOURCE
from tests.nemesis.place import CONFINED
from tests.support.domain import Directory
from tests.support.trees import Wanted, differences

from smbferry_api.names import ANNOTATION_TRIGGER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.nemesis.cluster import Cluster
    from tests.nemesis.place import Place
    from tests.support.api import Object
    from tests.support.trees import Tree

MIB = 1 << 20
START_SECONDS, END_SECONDS = 120.0, 720.0
"""How long a run may take to be made, and to end: seven attempts with Kubernetes' pauses between them."""
TEMPORARY = ".smbferry"
EVERYWHERE = {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}
# From one folder's files to the other's, each by a rename: nobody ever reads a file that is just being written.
MOVE = 'cd "$1" && find . -type d -exec mkdir -p -m 777 "$2/{}" \\; && find . -type f -exec mv -f {} "$2/{}" \\;'


@dataclass(frozen=True)
class Shape:
    """What an actor's task is like: so many small files, large ones of so many MiB, at most so fast."""

    name: str
    small: int
    large: tuple[int, ...]
    rate: str
    parallelism: int = 1
    mirror: bool = False
    folder: str = ""
    """Where it copies from and to, if not to one of its own."""
    shared: bool = False
    """Whether another actor writes to the same destination."""
    spelled: str = ""
    """The destination's folder in this spelling."""


SHAPES = (
    Shape("small", 120, (), "512Ki"),
    Shape("large", 4, (64,), "6Mi"),
    Shape("several", 120, (24, 24, 24, 24), "12Mi", parallelism=2),
    Shape("mirror", 40, (6,), "1Mi", mirror=True),
    Shape("twin-a", 20, (8,), "2Mi", folder="twins", shared=True),
    Shape("twin-b", 20, (8,), "2Mi", folder="twins", shared=True, spelled="TWINS"),
    Shape("confined", 60, (6,), "1Mi", folder=f"{CONFINED}/tree"),
)


@dataclass
class Record:
    """What was seen, by all actors; appended to only."""

    violations: list[str] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)

    def violated(self, rule: str, text: str) -> None:
        """A rule did not hold."""
        self.violations.append(f"{rule}: {text}")


class Actor:
    """One task and what becomes of it."""

    def __init__(self, shape: Shape, seed: int, cluster: Cluster, place: Place, record: Record) -> None:
        self.shape = shape
        self._chance = random.Random(f"{seed}:{shape.name}")
        self._cluster = cluster
        self._record = record
        folder = shape.folder or shape.name
        self._source = place.source(folder)
        self._destination = place.destination(folder)
        self._versions: dict[str, set[tuple[int, str | None]]] = {}
        self._tree: Tree = {}
        self._round = 0
        self._edits = 0

    def prepare(self) -> None:
        """The folders and the first version of the source."""
        self._source.domain.run("mkdir", "-p", "-m", "777", self._source.inside, self._destination.inside)
        if self.shape.spelled:  # the one that it shares its folder with has filled it
            self._tree = self._source.tree()
        else:
            self._edit(whole=True)

    def play(self, over: Callable[[], bool]) -> None:
        """Rounds until it is over."""
        while not over():
            self.round(self._chance.choice(("none", "none", "none", "cancel", "edit")))

    def round(self, disturbance: str) -> None:
        """One run from its trigger to its end, and what must hold then."""
        self._round += 1
        if self._round > 1 and not self.shape.shared:
            self._edit(whole=False)
        trigger = f"round-{self._round}"
        self._cluster.apply("transfertasks", self._task(trigger))
        name = self._made(trigger)
        if name is None:
            return
        pause = self._chance.uniform(1, 8)
        edited: list[str] = []
        if disturbance == "cancel":
            time.sleep(pause)
            self._cluster.patch("transferruns", name, {"spec": {"cancel": True}})
        elif disturbance == "edit" and not self.shape.shared:
            time.sleep(pause)
            edited = self._edit(whole=False)
        self._judge(self._ended(name), disturbance, edited)

    def settle(self) -> None:
        """A last run in peace: it must succeed, and leave nothing but what is at the source."""
        self._round += 1
        trigger = "last"
        self._cluster.apply("transfertasks", self._task(trigger))
        name = self._made(trigger)
        run = self._ended(name) if name else None
        if run is None:
            return
        self._judge(run, "last")
        if run["status"]["state"] != "Succeeded":
            self._record.violated("I2", f"{name}: in peace it ended {run['status']['state']}: {run['status']}")
        left = [path for path in self._destination.tree() if TEMPORARY in path]
        if left:
            self._record.violated("I1", f"{self.shape.name}: temporaries are left: {left}")

    # --- what it does -------------------------------------------------------------------------------------------

    def _task(self, trigger: str) -> Object:
        shape = self.shape
        folder = shape.folder or shape.name
        options: dict[str, Any] = {"bytesPerSecond": shape.rate}
        if shape.mirror:
            options |= {"deletedFiles": "Remove", "maxDeletes": "100%"}
        if shape.shared:
            options |= {"transferMode": "All"}
        made = objects.task(
            shape.name,
            SOURCE,
            DESTINATION,
            trigger=trigger,
            options=options,
            agent={"parallelism": shape.parallelism, "tolerations": [EVERYWHERE]},
            history={"succeeded": 100, "failed": 100},
        )
        if shape.mirror and (word := self._unconfirmed()):
            made["spec"]["mirrorConfirmation"] = word
        made["spec"]["source"]["path"] = f"/{folder}"
        made["spec"]["destination"]["path"] = f"/{shape.spelled or folder}"
        return made

    def _unconfirmed(self) -> str | None:
        """The word that the task's first mirror wants of a person: a run that was disturbed has not mirrored yet."""
        known = [task for task in self._cluster.list("transfertasks") if task["metadata"]["name"] == self.shape.name]
        spec, status = (known[0]["spec"], known[0].get("status", {})) if known else ({}, {})
        word = status.get("unconfirmed") or spec.get("mirrorConfirmation")
        return str(word) if word else None

    def _edit(self, *, whole: bool) -> list[str]:
        """Another version of some files, or of all; each is there from one moment to the next. Says of which."""
        self._edits += 1
        staged = Directory(
            self._source.domain, "src", f"{self._source.name.split('/')[0]}/.staged-{secrets.token_hex(4)}"
        )
        domain = staged.domain
        domain.run("mkdir", "-p", "-m", "777", staged.inside)
        entries = list(self._small(whole=whole)) + list(self._large(whole=whole))
        staged.seed(entries)
        for path, entry in staged.tree().items():
            self._versions.setdefault(path, set()).add((entry.size, entry.sha256))
        domain.run("sh", "-c", MOVE, "sh", staged.inside, self._source.inside)
        domain.run("rm", "-rf", "--", staged.inside)
        if self.shape.mirror and not whole:
            domain.run("rm", "-f", "--", f"{self._source.inside}/few/{self._chance.randrange(4)}/0.txt")
        self._tree = self._source.tree()
        return [entry.path for entry in entries]

    def _small(self, *, whole: bool) -> list[Wanted]:
        numbers = range(self.shape.small) if whole else self._chance.sample(range(self.shape.small), 4)
        return [
            Wanted(
                f"few/{n % 4}/{n // 4}.txt", text=f"{n} of round {self._round}: {'.' * self._chance.randrange(9000)}"
            )
            for n in numbers
        ]

    def _large(self, *, whole: bool) -> list[Wanted]:
        """No byte range of a large file is like that of another version, so that a mixed file shows."""
        numbers = range(len(self.shape.large)) if whole else [self._chance.randrange(1 + len(self.shape.large))]
        return [
            Wanted(
                f"large/{n}.r{self._round if self.shape.mirror else 0}.bin",
                size=self.shape.large[n] * MIB + self._round,
                version=self._edits,
            )
            for n in numbers
            if n < len(self.shape.large)
        ]

    # --- what it sees -------------------------------------------------------------------------------------------

    def _runs(self, trigger: str) -> list[Object]:
        runs = self._cluster.list("transferruns", f"smbferry.io/task={self.shape.name}")
        return [run for run in runs if run["metadata"].get("annotations", {}).get(ANNOTATION_TRIGGER) == trigger]

    def _made(self, trigger: str) -> str | None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if runs := self._runs(trigger):
                return str(runs[0]["metadata"]["name"])
            time.sleep(1)
        self._record.violated("I4", f"{self.shape.name}: no run for trigger {trigger} within {START_SECONDS:.0f} s")
        return None

    def _ended(self, name: str) -> Object | None:
        until = time.monotonic() + END_SECONDS
        run: Object = {}
        while time.monotonic() < until:
            run = self._cluster.request("GET", f"{self._cluster.path('transferruns')}/{name}")
            if ended(run):
                return run
            time.sleep(1)
        self._record.violated("I4", f"{name} has not ended within {END_SECONDS:.0f} s: {run.get('status')}")
        return None

    def _judge(self, run: Object | None, disturbance: str, edited: Sequence[str] = ()) -> None:
        """`edited` names what was changed at the source while it ran: it may be there as it was, or as it is."""
        if run is None:
            return
        name, status = run["metadata"]["name"], run["status"]
        source, destination = self._source.domain.trees(self._source, self._destination)
        self._record.runs.append(_noted(self.shape, name, status, disturbance, edited))
        self._no_partial_data(name, destination)
        if differences(self._tree, source):
            self._record.violated("I5", f"{name}: the source was changed: {differences(self._tree, source)[:3]}")
        if status["state"] == "Succeeded" and not edited:
            wanted = dict(destination) if self.shape.mirror else {p: e for p, e in destination.items() if p in source}
            found = differences(source, {p: e for p, e in wanted.items() if TEMPORARY not in p}, times=True)
            if found:
                self._record.violated("I2", f"{name} succeeded: {found[:3]}")
        if status["state"] == "Failed":
            failure = status.get("failure") or {}
            if not failure.get("reason") or not failure.get("remedy"):
                self._record.violated("I4", f"{name} failed without a reason and a remedy: {failure}")
        if status["state"] == "Cancelled" and disturbance != "cancel":
            self._record.violated("I4", f"{name} was cancelled by nobody")

    def _no_partial_data(self, name: str, destination: Tree) -> None:
        """Every file is, whole, some version that once was at the source."""
        for path, entry in destination.items():
            if entry.kind == "file" and TEMPORARY not in path and not self.shape.spelled:
                known = self._versions.get(path, set())
                if known and (entry.size, entry.sha256) not in known:
                    self._record.violated("I1", f"{name}: {path} is {entry}, no version of the source")
                if not known and not self.shape.shared:
                    self._record.violated("I5", f"{name}: {path} is at the destination and never was at the source")


def _noted(shape: Shape, name: str, status: dict[str, Any], disturbance: str, edited: Sequence[str]) -> dict[str, Any]:
    counters = status.get("counters") or {}
    return {
        "task": shape.name,
        "run": name,
        "state": status["state"],
        "disturbance": disturbance,
        "edited": list(edited),
        "attempts": status.get("attempts", 0),
        "duration": status.get("duration", ""),
        "bytes": counters.get("bytes", {}),
        "failure": (status.get("failure") or {}).get("reason", ""),
    }
