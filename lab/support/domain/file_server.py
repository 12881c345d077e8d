"""A file server of a test's own: one more smbd of the domain controller, to be stopped, killed and configured at will.

It runs beside the others in the domain controller's container, with a port, a configuration and databases of its own,
and serves the same shares by the same Kerberos key. Nothing that is done to it is felt by whoever uses the others.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from lab.support.domain.machine import DomainError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.domain.domain import Domain

    from smbferry_engine import Endpoint

START_SECONDS = 20.0
# Written into a file by the shell that becomes the server: its id is the server's own.
START = 'echo $$ >"$1/main"; exec smbd --foreground --no-process-group --configfile="$1/smb.conf" --option="$2"'
CHILDREN = 'ps -o pid=,comm= --ppid "$(cat "$1/main")"'
EVERYONE = 'cat "$1/main"; ps -o pid= --ppid "$(cat "$1/main")"'


class FileServer:
    """An smbd at `port`; `settings` are lines of its [global] section, which stand before the domain's own."""

    def __init__(self, domain: Domain, *settings: str) -> None:
        self.domain = domain
        self.port = 20_000 + secrets.randbelow(10_000)
        self._settings = settings
        self._place = f"/run/smbd-{secrets.token_hex(4)}"

    @contextlib.contextmanager
    def running(self) -> Iterator[FileServer]:
        """Serve until the end of the block."""
        self.domain.run("mkdir", "-p", *(f"{self._place}/{part}" for part in ("lock", "state", "cache", "pid")))
        self.domain.put(self._configuration().encode(), f"{self._place}/smb.conf")
        try:
            self.start()
            yield self
        finally:
            self.kill()
            self.domain.run("rm", "-rf", self._place)

    def through(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint, served by this server."""
        return replace(endpoint, port=self.port)

    def start(self) -> None:
        """Start it and wait until it listens.

        Raises:
            DomainError: it does not.
        """
        self.domain.start("sh", "-c", START, "sh", self._place, "server role check:inhibit=yes")
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection((self.domain.address, self.port), timeout=1):
                return
            time.sleep(0.1)
        log = self.domain.run("sh", "-c", f"tail -n 20 {self._place}/log*", check=False).text
        raise DomainError(f"a file server at port {self.port} does not listen after {START_SECONDS:.0f} s: {log}")

    def kill(self) -> None:
        """End it and everyone who serves a connection, without a word, as a crash does."""
        self._signal("-KILL", self._processes())

    def serving(self) -> list[int]:
        """The processes that serve a connection now, one for each."""
        children = self.domain.run("sh", "-c", CHILDREN, "sh", self._place, check=False).text.splitlines()
        # The others of its children have names of their own: smbd-notifyd, cleanupd.
        return [int(pid) for pid, name in map(str.split, children) if name == "smbd" or name.startswith("smbd[")]

    def kill_serving(self) -> list[int]:
        """End those who serve a connection; whoever connects anew is served. Returns who they were."""
        return self._signal("-KILL", self.serving())

    def stop_serving(self) -> list[int]:
        """Stop those who serve a connection where they are: they neither read nor answer. Returns who they are."""
        return self._signal("-STOP", self.serving())

    def stop(self) -> None:
        """Stop it as a whole: connections are still accepted by the kernel, and nobody reads from them."""
        self._signal("-STOP", self._processes())

    def wake(self, processes: list[int]) -> None:
        """Let stopped processes go on, and wait until they have ended."""
        self._signal("-CONT", processes)
        until = time.monotonic() + START_SECONDS
        while self.domain.run("kill", "-0", *map(str, processes), check=False).code == 0:
            if time.monotonic() > until:
                raise DomainError(f"processes {processes} of the file server at port {self.port} did not end")
            time.sleep(0.1)

    def _signal(self, which: str, processes: list[int]) -> list[int]:
        if processes:
            self.domain.run("kill", which, *map(str, processes), check=False)
        return processes

    def _processes(self) -> list[int]:
        everyone = self.domain.run("sh", "-c", EVERYONE, "sh", self._place, check=False).output
        return [int(word) for word in everyone.split()]

    def _configuration(self) -> str:
        lines = ["[global]", f"smb ports = {self.port}", "server min protocol = SMB3_11"]
        lines += ["rpc start on demand helpers = no", f"log file = {self._place}/log"]
        lines += [f"{part} directory = {self._place}/{part}" for part in ("lock", "state", "cache", "pid")]
        lines += [*self._settings, "include = /etc/samba/domain.conf"]
        for share in ("src", "dst"):
            lines += [f"[{share}]", "server smb encrypt = required"]
        return "\n".join([*lines, ""])
