"""A task between shares with real access lists, by accounts that no list names; who is let in is looked at all along.

Every object says by itself whom it may let in: a file by its size, a folder by its name. So a glance at the destination
tells, at any moment, whether somebody is let in who is not at the source (I9).
"""

from __future__ import annotations

import secrets
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from lab.nemesis.lookout import Lookout
from lab.nemesis.player import KEEP_ALL, TEMPORARY, Player
from lab.support.cluster import objects
from lab.support.domain.machine import Directory
from lab.support.domain.member import BACKUP_OPERATORS, READERS, WRITERS
from lab.support.domain.trees import Wanted, differences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.nemesis.cluster import Cluster
    from lab.nemesis.record import Record
    from lab.support.cluster.api import Object
    from lab.support.cluster.scene import Scene
    from lab.support.domain.domain import User
    from lab.support.domain.member import Member

NAME: Final = "guarded"
READER, WRITER, SOURCE, DESTINATION = (f"{NAME}-{part}" for part in ("reader", "writer", "source", "destination"))
ALWAYS: Final = "Domain Admins"
GUESTS: Final = (None, "Domain Users", "Domain Guests")
"""Whom the lists let in beside the administrators, by their number."""
SMALL_BYTES, LARGE_BYTES, SMALL_FILES = 3_000, 6 << 20, 16
LOOK_SECONDS: Final = 0.3
SECURITY: Final = ("owner", "group", "control", "dacl", "written")


def _list(number: int, *, folder: bool) -> str:
    """The SDDL with this number; nothing that a folder above it hands down changes it."""
    flags = "OICI" if folder else ""
    guest = GUESTS[number]
    further = f"(A;{flags};0x1200a9;;;{{{guest}}})" if guest else ""
    return f"O:{{{ALWAYS}}}G:{{Domain Users}}D:PAI(A;{flags};0x1f01ff;;;{{{ALWAYS}}}){further}"


class Ground:
    """Two folders on the member server, and two accounts of its own that are Backup Operators there."""

    def __init__(self, scene: Scene, member: Member, folders: tuple[Directory, Directory], users: tuple[User, User]):
        self._scene = scene
        self.member = member
        self._top, to = folders
        self.source = Directory(member, self._top.share, f"{self._top.name}/tree")
        self.destination = to
        self.reader, self.writer = users

    def staged(self) -> Directory:
        """A folder beside the source, on its file system."""
        return Directory(self.member, self._top.share, f"{self._top.name}/staged-{secrets.token_hex(4)}")

    def apply(self) -> None:
        """Applies everything but the task, and waits until it can be used."""
        scene, server = self._scene, self.member.server
        rest = {"nameservers": scene.nameservers}
        scene.kube.apply(
            scene.keytab(READER, self.reader),
            scene.keytab(WRITER, self.writer),
            scene.identity(READER, self.reader),
            scene.identity(WRITER, self.writer),
            objects.location(SOURCE, server, self.source.share, READER, path=self.source.path, **rest),
            objects.location(DESTINATION, server, self.destination.share, WRITER, path=self.destination.path, **rest),
        )
        scene.ready(SOURCE, DESTINATION)


@contextmanager
def ground(scene: Scene, member: Member) -> Iterator[Ground]:
    """All of it; gone afterwards."""
    with ExitStack() as stack:
        folders = tuple(stack.enter_context(member.directory(share)) for share in ("acl-src", "acl-dst"))
        users = tuple(
            stack.enter_context(scene.domain.user(group, BACKUP_OPERATORS, prefix=NAME)) for group in (READERS, WRITERS)
        )
        yield Ground(scene, member, (folders[0], folders[1]), (users[0], users[1]))


class Guarded(Player):
    """The task, and what becomes of both sides."""

    def __init__(self, seed: int, cluster: Cluster, where: Ground, record: Record) -> None:
        super().__init__(NAME, seed, cluster, record, destination=where.destination)
        self._ground = where
        self._version = 0

    def prepare(self) -> None:
        """Creates the guarded tree with its access lists, and the task that copies it."""
        ground = self._ground
        ground.member.run("mkdir", "-p", "-m", "777", ground.source.inside)
        folders = {f"kept-{number}": number for number in range(len(GUESTS))}
        self._make(ground.source, self._files(list(folders), whole=True), folders)
        ground.member.describe(ground.source, {"": _list(0, folder=True)})
        ground.apply()

    def _edit(self) -> list[str]:
        """Some files of other sizes and lists, and a new folder; by a rename each."""
        ground, staged = self._ground, self._ground.staged()
        ground.member.run("mkdir", "-p", "-m", "777", staged.inside)
        self._version += 1
        number = self._chance.randrange(len(GUESTS))
        new = f"new-{self._version}-{number}"
        kept = [f"kept-{n}" for n in range(len(GUESTS))]
        files = self._files(kept, whole=False)
        self._make(staged, {**files, f"{new}/0": self._size(SMALL_BYTES)}, {new: number})
        for path in files:
            ground.member.run("mv", "-f", "--", f"{staged.inside}/{path}", f"{ground.source.inside}/{path}")
        ground.member.run("mv", "--", f"{staged.inside}/{new}", ground.source.inside)
        ground.member.run("rm", "-rf", "--", staged.inside)
        return [*files, new]

    def _files(self, folders: Sequence[str], *, whole: bool) -> dict[str, int]:
        """Path → size of files that are there, or are there anew."""
        small = [f"{folder}/{n}" for folder in folders for n in range(SMALL_FILES)]
        large = [f"{folder}/large" for folder in folders]
        chosen = small + large if whole else [*self._chance.sample(small, 6), self._chance.choice(large)]
        return {path: self._size(LARGE_BYTES if path.endswith("large") else SMALL_BYTES) for path in chosen}

    def _size(self, about: int) -> int:
        """One that no other version has but by chance; which list goes with it is the rest that it leaves."""
        return about + self._chance.randrange(1000)

    def _make(self, directory: Directory, files: dict[str, int], folders: dict[str, int]) -> None:
        directory.seed([Wanted(path, size=size, version=self._version) for path, size in files.items()])
        lists = {path: _list(size % len(GUESTS), folder=False) for path, size in files.items()}
        lists |= {path: _list(number, folder=True) for path, number in folders.items()}
        self._ground.member.describe(directory, lists)

    def _task(self, trigger: str) -> Object:
        options: dict[str, Any] = {"bytesPerSecond": "3Mi", "securityDescriptors": "OwnerDacl"}
        return objects.task(
            NAME,
            SOURCE,
            DESTINATION,
            trigger=trigger,
            options=options,
            agent={"tolerations": [objects.EVERYWHERE]},
            history=KEEP_ALL,
        )

    def _judge(self, run: Object, edited: Sequence[str]) -> None:
        if run["status"]["state"] != "Succeeded" or edited:
            return
        ground, name = self._ground, run["metadata"]["name"]
        if found := ground.member.differing(ground.source, ground.destination, *SECURITY):
            self._record.violated("I8", f"{name} succeeded: {found[:3]}")
        if other := differences(*ground.member.trees(ground.source, ground.destination)):
            self._record.violated("I2", f"{name} succeeded: {other[:3]}")


class Witness(Lookout):
    """Looks at whom each object at the destination lets in."""

    def __init__(self, where: Ground, record: Record) -> None:
        super().__init__("I9", LOOK_SECONDS, record)
        self._ground = where
        sid = where.member.sid
        self._may = [{sid(ALWAYS), sid(where.writer.name), *([sid(guest)] if guest else [])} for guest in GUESTS]
        self.seen = 0
        """Objects with a list, all looks together."""

    def _look(self) -> Iterator[str]:
        found = self._ground.member.let_in(self._ground.destination)
        self.seen += sum(allowed is not None for _, _, allowed in found.values())
        return exposed(found, self._may)


def exposed(found: dict[str, tuple[bool, int, list[str] | None]], may: Sequence[set[str]]) -> Iterator[str]:
    """What of `let_in` lets in somebody whom its own list, of those with these numbers, does not let in."""
    for path, (folder, size, allowed) in found.items():
        # What has no content yet has nothing to be seen; the folder at the top was there before us; and a folder that
        # has no list at all is the server's, which sets it just after.
        if not path or (not folder and not size) or (folder and allowed is None):
            continue
        number = _number_of_folder(path) if folder else size % len(may)
        if allowed is None or not may[number].issuperset(allowed):
            yield f"{path} of {size} bytes lets in {allowed}, and not only {sorted(may[number])}"


def _number_of_folder(path: str) -> int:
    """One that is not finished yet lets in nobody but the account, as the first list does."""
    last = path.rpartition("-")[2]
    return int(last) if last.isdigit() and TEMPORARY not in path else 0
