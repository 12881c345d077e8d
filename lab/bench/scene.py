"""Where the bench takes place: users with tickets, trees in shares that lie in memory, and what these hold."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from lab.bench import inside

if TYPE_CHECKING:
    from types import TracebackType

    from lab.bench.cases import Tree
    from lab.support.domain.domain import Domain, User

SOURCE, DESTINATION = "benchsrc", "benchdst"
WITH_STREAMS = "-streams"  # the same folders as shares of a volume that has streams
SHARES = "/srv"
FILE = "file.bin"
MEMORY = Path("/dev/shm")
SCRIPT = Path(inside.__file__)


# In nanoseconds where the control group is of version 1, else lines of which `usage_usec` is one.
READ_CPU = "cat /sys/fs/cgroup/cpuacct/cpuacct.usage 2>/dev/null || cat /sys/fs/cgroup/cpu.stat"


class BenchError(Exception):
    """The bench can't be held here, or a client did not do what it was asked; says what to do."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Who a client is on one side: the principal, and the file with its tickets."""

    principal: str
    ccache: str


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a tree holds; equal digests mean equal trees."""

    files: int
    bytes: int
    content: str
    times: str
    descriptors: str


def cpu_seconds(said: str) -> float:
    """CPU seconds from what a control group says.

    Raises:
        BenchError: it says something else.
    """
    words = said.split()
    if len(words) == 1 and words[0].isdecimal():
        return int(words[0]) / 1e9
    if "usage_usec" in words:
        return int(words[words.index("usage_usec") + 1]) / 1e6
    raise BenchError(f"a control group's CPU time expected, found {said[:80]!r}")


class Scene:
    """Users, tickets, trees. Everything that it makes goes when the block ends."""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self.scratch = MEMORY / f"smbferry-bench-{secrets.token_hex(4)}"
        self._name = secrets.token_hex(4)
        self._stack = ExitStack()
        self._made: set[str] = set()
        self._fingerprints: dict[str, Fingerprint] = {}

    def __enter__(self) -> Self:
        self._check_memory()
        self.scratch.mkdir(mode=0o700)
        self._stack.callback(shutil.rmtree, self.scratch, ignore_errors=True)
        for share in (SOURCE, DESTINATION):
            self._stack.callback(self.domain.run, "rm", "-rf", "--", self._inside(share, ""))
        try:
            reader = self._stack.enter_context(self.domain.user("src-readers", prefix="bench"))
            writer = self._stack.enter_context(
                self.domain.user("dst-writers", "src-readers", "Backup Operators", prefix="bench")
            )
            self.source, self.destination = self._ticket(reader), self._ticket(writer)
            self._owner = reader.name
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def path(self, name: str) -> str:
        """Where a tree lies in its share."""
        return f"{self._name}/{name}"

    def prepare(self, tree: Tree) -> None:
        """Make a tree in the source share, once."""
        if tree.name in self._made:
            return
        target = self._inside(SOURCE, tree.name)
        if tree.single:
            self._run("seed-file", f"{target}/{FILE}", str(tree.bytes))
        else:
            self._seed(target, tree)
        if tree.protected:
            self._run("protect", target, f"CORP\\{self._owner}")
        self._made.add(tree.name)

    def expected(self, tree: Tree) -> Fingerprint:
        """What a tree of the source, or a part of one, holds."""
        if tree.name not in self._fingerprints:
            self._fingerprints[tree.name] = self.fingerprint(SOURCE, tree.name, descriptors=tree.protected)
        return self._fingerprints[tree.name]

    def clone(self, tree: Tree) -> None:
        """Put the same tree, unchanged, into the destination share."""
        self.domain.run("rm", "-rf", "--", self._inside(DESTINATION, tree.name))
        self._run("clone", self._inside(SOURCE, tree.name), self._inside(DESTINATION, tree.name))

    def grant(self, tree: Tree, number: int) -> None:
        """Change one entry of the access list of the source's first file, to another one for each `number`."""
        first = f"{tree.name}/{inside.path_of(0)}"
        self._run("grant", self._inside(SOURCE, first), f"CORP\\{self._owner}", str(number))
        self._fingerprints.clear()

    def empty_destination(self, name: str) -> None:
        """An empty folder in the destination share."""
        self._run("empty", self._inside(DESTINATION, name))

    def forget(self, tree: Tree) -> None:
        """Remove a tree from both shares."""
        for share in (SOURCE, DESTINATION):
            self.domain.run("rm", "-rf", "--", self._inside(share, tree.name))
        self._made.discard(tree.name)
        self._fingerprints = {name: kept for name, kept in self._fingerprints.items() if name in self._made}
        self._local(tree).unlink(missing_ok=True)

    def fingerprint(self, share: str, name: str, *, descriptors: bool = False) -> Fingerprint:
        """What a tree holds now."""
        answer = self._run("fingerprint", self._inside(share, name), "yes" if descriptors else "no")
        return Fingerprint(**json.loads(answer))

    def server_cpu_seconds(self) -> float:
        """CPU time that everything in the server's container has used so far, by its control group (v1 or v2)."""
        return cpu_seconds(self.domain.run("sh", "-c", READ_CPU).text)

    def local_file(self, tree: Tree) -> Path:
        """The one file of a tree, as a local file in memory: what clients write to the share."""
        path = self._local(tree)
        if not path.exists():
            inside.seed_file(str(path), tree.bytes)
        return path

    def _local(self, tree: Tree) -> Path:
        return self.scratch / f"{tree.name}.bin"

    def _seed(self, target: str, tree: Tree) -> None:
        listed = f"/tmp/{secrets.token_hex(8)}.json"
        self.domain.put(json.dumps(tree.sizes).encode(), listed)
        try:
            self._run("seed-tree", target, listed)
        finally:
            self.domain.run("rm", "-f", listed)

    def _inside(self, share: str, name: str) -> str:
        return f"{SHARES}/{share}/{self.path(name)}".rstrip("/")

    def _run(self, *arguments: str) -> str:
        return self.domain.run("python3", "-c", SCRIPT.read_text(), *arguments).output.decode()

    def _ticket(self, user: User) -> Ticket:
        """Tickets for the domain and for the file server, so that no client has to ask for them while it is timed."""
        keytab = self.scratch / f"{user.name}.keytab"
        keytab.write_bytes(user.keytab())
        ccache = f"FILE:{self.scratch / user.name}"
        env = {**os.environ, "KRB5CCNAME": ccache}
        for command in (["kinit", "-k", "-t", str(keytab), user.principal], ["kvno", f"cifs/{self.domain.server}"]):
            subprocess.run(command, env=env, check=True, capture_output=True, timeout=60)
        return Ticket(user.principal, ccache)

    def _check_memory(self) -> None:
        for share in (SOURCE, DESTINATION):
            kind = self.domain.run(
                "stat", "--file-system", "--format=%T", f"{SHARES}/{share}", check=False
            ).text.strip()
            if kind != "tmpfs":
                raise BenchError(
                    f"the share {share} should lie in memory and lies on {kind!r}: it was started by an older lab; "
                    "run `lab/lab down` and `lab/lab up domain`"
                )
