"""Where the nemesis plays: users, shares behind a file server and a relay of its own, identities and locations."""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.nemesis.limits import AT_LOCATION
from lab.support.domain.file_server import FileServer
from lab.support.domain.machine import Directory
from lab.support.domain.trees import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.cluster.scene import Scene
    from lab.support.domain.domain import Domain
    from lab.support.domain.trees import Tree

RELAY = Path(__file__).with_name("relay.py")
START = 'echo $$ >"$1"; shift; exec python3 -c "$@"'
CONFINED = "confined"
"""A folder on a small file system of its own, within the share: it can be full where all others have room."""
CONFINED_MIB = 24
# Takes all the room there is, and gives it back by itself, whatever becomes of who has asked for it.
FILL = 'dd if=/dev/zero of="$1" bs=64k 2>/dev/null; sleep "$2"; rm -f "$1"'
SENTINELS = [Wanted("beside/outside.txt", text="nobody's business"), Wanted("beside/deep/er.bin", size=70_000)]


@dataclass(frozen=True)
class Place:
    """The parts; `before` is what lies beside all destinations, and must lie there afterwards."""

    scene: Scene
    server: FileServer
    relay_port: int
    relay_file: str
    before: Tree

    @property
    def address(self) -> str:
        """The server as runs name it: host:port."""
        return f"{self.domain.server.casefold()}:{self.relay_port}"

    @property
    def domain(self) -> Domain:
        """The lab's domain."""
        return self.scene.domain

    def signal_relay(self, name: str) -> str:
        """Tells the relay to fail."""
        self.domain.run("sh", "-c", f'kill -{name} "$(cat "$1")"', "sh", self.relay_file)
        return f"port {self.relay_port}"

    def source(self, folder: str) -> Directory:
        """A task's source folder."""
        return Directory(self.domain, "src", f"{self.scene.source.name}/{folder}")

    def destination(self, folder: str) -> Directory:
        """A task's destination folder."""
        return Directory(self.domain, "dst", f"{self.scene.destination.name}/{folder}")

    def in_flight(self, folder: str) -> int:
        """Bytes in the largest temporary file at a task's destination."""
        sizes = self.domain.run(
            "find", self.destination(folder).inside, "-name", ".smbferry*", "-printf", "%s\n", check=False
        )
        return max(map(int, sizes.output.split()), default=0)

    @property
    def confined(self) -> Directory:
        """The folder that :meth:`fill` fills up; destinations lie below it."""
        return self.destination(CONFINED)

    def fill(self, seconds: float) -> str:
        """Leaves no room in the confined folder for so long."""
        self.domain.start("sh", "-c", FILL, "sh", f"{self.confined.inside}/ballast", str(seconds))
        return f"/{CONFINED} for {seconds:.0f} s"

    def beside(self) -> Tree:
        """What lies beside the destinations now."""
        return self.destination("sentinels").tree()


@contextmanager
def place(scene: Scene) -> Iterator[Place]:
    """All of it, ready to be used; gone afterwards."""
    domain = scene.domain
    with FileServer(domain).running() as server:
        port, file = server.port + 10_000, f"/run/relay-{secrets.token_hex(4)}"
        domain.start(*("sh", "-c", START, "sh", file, RELAY.read_text(), str(port), domain.address, str(server.port)))
        try:
            folder = Directory(domain, "dst", f"{scene.destination.name}/sentinels")
            domain.run("mkdir", "-p", "-m", "777", folder.inside)
            folder.seed(SENTINELS)
            scene.apply(port=port, limits={"concurrentRuns": AT_LOCATION})
            scene.ready()
            made = Place(scene, server, port, file, folder.tree())
            with _small_file_system(made.confined):
                yield made
        finally:
            domain.run("sh", "-c", 'kill "$(cat "$1")"; rm -f "$1"', "sh", file, check=False)
            time.sleep(0.2)


@contextmanager
def _small_file_system(folder: Directory) -> Iterator[None]:
    """One mounted at the folder, gone afterwards."""
    domain = folder.domain
    domain.run("mkdir", "-p", "-m", "777", folder.inside)
    domain.run("mount", "-t", "tmpfs", "-o", f"size={CONFINED_MIB}m,mode=0777", "tmpfs", folder.inside)
    try:
        yield
    finally:
        domain.run("umount", "--lazy", folder.inside)
