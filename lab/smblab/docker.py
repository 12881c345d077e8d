"""One Docker daemon as the lab uses it: the address, and commands through its client."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from . import shell
from .errors import LabError

if TYPE_CHECKING:
    from pathlib import Path

# The first engine whose own BuildKit needs no extra plugin.
BUILDKIT_SINCE = 23


@dataclass(frozen=True)
class Docker:
    """A daemon that answers. `ours` means that the lab started it and ends it."""

    host: str
    ours: bool

    @cached_property
    def env(self) -> dict[str, str]:
        """Environment for docker, kind and whatever else speaks to this daemon."""
        chosen = {"DOCKER_HOST": self.host}
        if major(self.server_version) < BUILDKIT_SINCE:
            chosen["DOCKER_BUILDKIT"] = "0"
        return chosen

    @cached_property
    def server_version(self) -> str:
        """The daemon's version."""
        return shell.text(["docker", "-H", self.host, "version", "--format", "{{.Server.Version}}"])

    def text(self, *arguments: str | Path, timeout: float = 300) -> str:
        """Output of a docker command."""
        return shell.text(["docker", *arguments], env=self.env, timeout=timeout)

    def output(self, *arguments: str | Path, stdin: bytes | None = None, timeout: float = 300) -> bytes:
        """Raw output of a docker command."""
        return shell.output(["docker", *arguments], env=self.env, stdin=stdin, timeout=timeout)

    def logged(self, log: Path, *arguments: str | Path) -> None:
        """A long docker command, its output into a log."""
        shell.logged(["docker", *arguments], log, env=self.env)

    def fetched(self, log: Path, *arguments: str | Path) -> None:
        """A docker command that pulls, or builds from mirrors: tried again where it fails, its output into a log."""
        shell.fetched(lambda: self.logged(log, *arguments))

    def inspect(self, kind: str, name: str, template: str) -> str | None:
        """One field of a container, image, network or volume; None where there is no such object."""
        try:
            return self.text(kind, "inspect", "--format", template, name)
        except LabError as error:
            if "no such" in str(error).lower() or "not found" in str(error).lower():
                return None
            raise

    def running(self, container: str) -> bool:
        """Whether a container is there and runs."""
        return self.inspect("container", container, "{{.State.Running}}") == "true"


def answering(host: str, *, ours: bool) -> Docker | None:
    """The daemon at an address, or None where nothing answers."""
    if shell.succeeds(["docker", "-H", host, "info"], timeout=20):
        return Docker(host, ours)
    return None


def major(version: str) -> int:
    """The first number of a version, 0 where there is none."""
    head = version.split(".", maxsplit=1)[0]
    return int(head) if head.isdigit() else 0
