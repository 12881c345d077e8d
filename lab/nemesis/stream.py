"""The stream of work: tasks of several shapes between the shares that everybody may use."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.nemesis.place import CONFINED
from lab.nemesis.player import KEEP_ALL, TEMPORARY, Player
from lab.nemesis.windows import ALWAYS
from lab.support.cluster import objects
from lab.support.cluster.scene import DESTINATION, SOURCE
from lab.support.domain.machine import Directory
from lab.support.domain.trees import Wanted, differences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.nemesis.cluster import Cluster
    from lab.nemesis.place import Place
    from lab.nemesis.record import Record
    from lab.nemesis.windows import Closings
    from lab.support.cluster.api import Object
    from lab.support.domain.trees import Tree

MIB = 1 << 20
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
    priority: int = 0
    windowed: bool = False
    """Whether it has windows, which are closed now and then."""


SHAPES = (
    Shape("small", 120, (), "512Ki"),
    Shape("large", 4, (64,), "6Mi", priority=10),
    Shape("several", 120, (24, 24, 24, 24), "12Mi", parallelism=2),
    Shape("mirror", 40, (6,), "1Mi", mirror=True),
    Shape("twin-a", 20, (8,), "2Mi", folder="twins", shared=True),
    Shape("twin-b", 20, (8,), "2Mi", folder="twins", shared=True, spelled="TWINS"),
    Shape("confined", 60, (6,), "1Mi", folder=f"{CONFINED}/tree", priority=-5),
    Shape("windowed", 20, (24,), "1Mi", windowed=True),
)


class Actor(Player):
    """A task between the shares that everybody may use."""

    def __init__(
        self, shape: Shape, seed: int, cluster: Cluster, place: Place, record: Record, *, closings: Closings
    ) -> None:
        folder = shape.folder or shape.name
        super().__init__(
            shape.name,
            seed,
            cluster,
            record,
            destination=place.destination(folder),
            may_edit=not shape.shared,
            closings=closings if shape.windowed else None,
        )
        self.shape = shape
        self._source = place.source(folder)
        self._versions: dict[str, set[tuple[int, str | None]]] = {}
        self._tree: Tree = {}
        self._edits = 0

    def prepare(self) -> None:
        """The folders and the first version of the source."""
        self._source.domain.run("mkdir", "-p", "-m", "777", self._source.inside, self._destination.inside)
        if self.shape.spelled:  # the one that it shares its folder with has filled it
            self._tree = self._source.tree()
        else:
            self._edit(whole=True)

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
            agent={"parallelism": shape.parallelism, "tolerations": [objects.EVERYWHERE]},
            priority=shape.priority,
            windows=[ALWAYS] if shape.windowed else [],
            history=KEEP_ALL,
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

    def _edit(self, *, whole: bool = False) -> list[str]:
        """Of some files, or of all."""
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

    def _judge(self, run: Object, edited: Sequence[str]) -> None:
        name, status = run["metadata"]["name"], run["status"]
        source, destination = self._source.domain.trees(self._source, self._destination)
        self._no_partial_data(name, destination)
        if differences(self._tree, source):
            self._record.violated("I5", f"{name}: the source was changed: {differences(self._tree, source)[:3]}")
        if status["state"] == "Succeeded" and not edited:
            wanted = dict(destination) if self.shape.mirror else {p: e for p, e in destination.items() if p in source}
            found = differences(source, {p: e for p, e in wanted.items() if TEMPORARY not in p}, times=True)
            if found:
                self._record.violated("I2", f"{name} succeeded: {found[:3]}")

    def _no_partial_data(self, name: str, destination: Tree) -> None:
        """Every file is, whole, some version that once was at the source."""
        for path, entry in destination.items():
            if entry.kind == "file" and TEMPORARY not in path and not self.shape.spelled:
                known = self._versions.get(path, set())
                if known and (entry.size, entry.sha256) not in known:
                    self._record.violated("I1", f"{name}: {path} is {entry}, no version of the source")
                if not known and not self.shape.shared:
                    self._record.violated("I5", f"{name}: {path} is at the destination and never was at the source")
