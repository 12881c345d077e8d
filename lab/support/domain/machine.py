"""A file server of the lab in a container, as tests drive it through the Docker API: commands, folders, trees."""

from __future__ import annotations

import abc
import base64
import dataclasses
import secrets
import shlex
import weakref
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import docker  # type: ignore[import-untyped]  # it publishes no types
from lab.support.domain.shell import Result, Shell, ShellError, end_all
from lab.support.domain.trees import Entry, Tree, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SHARES = "/srv"


class DomainError(Exception):
    """The domain isn't there, or refused what a test asked of it."""


def from_environment(environ: Mapping[str, str], *names: str) -> tuple[Any, list[str]]:
    """The container that the last of the lab's variables names, and the values of those before it.

    Raises:
        DomainError: they aren't set, or nothing answers there.
    """
    try:
        *values, name = (environ[variable] for variable in names)
    except KeyError as missing:
        raise DomainError(f'{missing} is not set: run lab/lab up, then eval "$(lab/lab env)"') from missing
    try:
        return docker.from_env(environment=dict(environ)).containers.get(name), values
    except docker.errors.DockerException as error:
        raise DomainError(f"no container {name}: run lab/lab up ({error})") from error


class Account(Protocol):
    """An account by its name in the domain."""

    @property
    def name(self) -> str:
        """The sAMAccountName."""


class Machine(abc.ABC):
    """A file server of the domain in a container. `server` is its DNS name, `address` its IPv4 address."""

    def __init__(self, container: Any, *, server: str, address: str) -> None:
        self._container = container
        # Each serves one command at a time; tests that have threads get as many as they use at once.
        self._idle: list[Shell] = []
        weakref.finalize(self, end_all, self._idle)
        self.server = server
        self.address = address

    def run(self, *command: str, env: Mapping[str, str] | None = None, check: bool = True) -> Result:
        """Run a command in the container.

        Raises:
            DomainError: it failed and `check` is set.
        """
        with self._shell() as shell:
            result = shell.run(command, dict(env or {}))
        if check and result.code:
            raise DomainError(f"`{shlex.join(command)[:200]}` ended with {result.code}: {result.text.strip()}")
        return result

    def call(self, call: str, *arguments: object) -> Any:
        """Call a function of `inside.py` in the container; returns what it returned.

        Raises:
            DomainError: it raised, or the process in the container is gone.
        """
        with self._shell() as shell:
            try:
                return shell.call(call, *arguments)
            except ShellError as error:
                raise DomainError(f"{call} {arguments[0]}: {error}") from error

    @contextmanager
    def _shell(self) -> Iterator[Shell]:
        shell = self._waiting() or Shell(self._container)
        try:
            yield shell
        finally:
            self._idle.append(shell)

    def _waiting(self) -> Shell | None:
        """One that can be asked; those that were left in the middle of an answer, or have ended, are closed."""
        while True:
            try:
                shell = self._idle.pop()
            except IndexError:
                return None
            if shell.waits:
                return shell
            shell.close()

    def start(self, *command: str) -> None:
        """Start a command in the container and leave it running."""
        self._container.exec_run(list(command), detach=True)

    def settle(self, directory: Directory) -> None:
        """What follows when something was made in a directory behind the server's back."""
        # Where shares have no access lists of their own: nothing.
        del directory

    def samba_tool(self, *arguments: str) -> str:
        """Run samba-tool; returns what it said."""
        return self.run("samba-tool", *arguments).text

    @contextmanager
    def directory(self, share: str, name: str | None = None) -> Iterator[Directory]:
        """An empty directory of this test's own in a share, removed afterwards."""
        chosen = Directory(self, share, name or f"t-{secrets.token_hex(6)}")
        self.run("mkdir", "--mode=0777", chosen.inside)
        self.settle(chosen)
        try:
            yield chosen
        finally:
            self.run("rm", "-rf", "--", chosen.inside)

    def trees(self, *directories: Directory) -> list[Tree]:
        """Everything below each of the directories, files with their SHA-256."""
        found = [self.call("listing", directory.inside) for directory in directories]
        return [
            {path: Entry(kind, size, digest, mtime) for path, (kind, size, digest, mtime) in tree.items()}
            for tree in found
        ]

    @abc.abstractmethod
    def smbclient(
        self, user: str, share: str, *commands: str, port: int = 445, protection: str = "encrypt", check: bool = True
    ) -> Result:
        """Run smbclient's commands in a share of this server, as a user by Kerberos, with the domain's own keys.

        `protection` is smbclient's --client-protection: encrypt or sign.
        """

    @abc.abstractmethod
    def client(
        self, user: str, program: str, *arguments: str, protection: str = "encrypt", check: bool = True
    ) -> Result:
        """Run one of Samba's client programs as a user by Kerberos, with the domain's own keys."""

    @abc.abstractmethod
    def privileged(self, user: Account, *privileges: str) -> AbstractContextManager[Account]:
        """Privileges such as SeSecurityPrivilege for a user of the test's own, taken away afterwards."""

    def put(self, content: bytes, path: str) -> None:
        """Write a file in the container; one that exists keeps its inode and its descriptor."""
        self.call("write", path, base64.b64encode(content).decode())

    @contextmanager
    def _temporary(self, suffix: str) -> Iterator[str]:
        path = f"/tmp/{secrets.token_hex(8)}.{suffix}"
        try:
            yield path
        finally:
            self.run("rm", "-f", path)


@dataclasses.dataclass(frozen=True)
class Directory:
    """A directory in a share; `path` is what a SmbLocation says, `inside` where it lies in the container."""

    domain: Machine
    share: str
    name: str

    @property
    def path(self) -> str:
        """Path inside the share."""
        return f"/{self.name}"

    @property
    def inside(self) -> str:
        """Path inside the container."""
        return f"{SHARES}/{self.share}/{self.name}"

    def seed(self, entries: Iterable[Wanted]) -> None:
        """Make files and folders; everyone may change them."""
        wanted = [[entry.path, entry.kind, entry.size, entry.version, entry.text] for entry in entries]
        self.domain.call("seed", self.inside, wanted)
        self.domain.settle(self)

    def write(self, path: str, content: bytes) -> None:
        """Write one file; everyone may change it."""
        target = f"{self.inside}/{path}"
        self.domain.run("mkdir", "--parents", "--mode=0777", target.rsplit("/", 1)[0])
        self.domain.put(content, target)
        self.domain.settle(self)

    def read(self, path: str) -> bytes:
        """A file's content."""
        return self.domain.run("cat", f"{self.inside}/{path}").output

    def remove(self, path: str) -> None:
        """Remove a file or a folder with everything in it."""
        self.domain.run("rm", "-r", "--", f"{self.inside}/{path}")

    def tree(self) -> Tree:
        """Everything below, files with their SHA-256."""
        (tree,) = self.domain.trees(self)
        return tree
