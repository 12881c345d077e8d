"""A process in the domain controller's container that runs commands, one after the other, for as long as it is kept."""

from __future__ import annotations

import base64
import dataclasses
import json
import select
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docker.utils.socket import frames_iter  # type: ignore[import-untyped]  # it publishes no types

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
STDOUT = 1


class ShellError(Exception):
    """The process in the container ended, or refused; the message is what it said."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command in the container said and how it ended."""

    code: int
    output: bytes
    errors: bytes

    @property
    def text(self) -> str:
        """Standard output, then standard error."""
        return (self.output + self.errors).decode(errors="replace")


class Shell:
    """`inside.py` in the container; it ends when its standard input is closed."""

    def __init__(self, container: Any) -> None:
        api = container.client.api
        texts = [(HERE / name).read_text(encoding="utf-8") for name in ("inside.py", "files.py", "descriptors.py")]
        made = api.exec_create(container.id, ["python3", "-u", "-c", *texts], stdin=True)
        # The SDK hands out a wrapper that only reads: what is written goes to the socket below it.
        self._stream = api.exec_start(made["Id"], socket=True)
        self._frames = frames_iter(self._stream, tty=False)
        self._asked = False

    def run(self, command: Sequence[str], environment: dict[str, str]) -> Result:
        """Runs a command to its end.

        Raises:
            ShellError: the process in the container is gone.
        """
        answer = self._ask({"command": list(command), "environment": environment})
        return Result(answer["code"], base64.b64decode(answer["output"]), base64.b64decode(answer["errors"]))

    def call(self, name: str, *arguments: object) -> Any:
        """What a method of `inside.Accounts` returns, or a function of `files` or `descriptors`.

        Raises:
            ShellError: it raised; or the process is gone.
        """
        answer = self._ask({"call": name, "arguments": arguments})
        if "refused" in answer:
            raise ShellError(answer["refused"])
        return answer["returned"]

    @property
    def waits(self) -> bool:
        """Whether it waits for a question: it owes no answer, and has not ended."""
        return not self._asked and not self._ended

    @property
    def _ended(self) -> bool:
        connection, poll = self._stream._sock, select.poll()
        poll.register(connection, select.POLLIN)
        try:
            return bool(poll.poll(0)) and not connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def _ask(self, question: dict[str, Any]) -> Any:
        self._asked = True
        try:
            self._stream._sock.sendall((json.dumps(question) + "\n").encode())
        except OSError as error:
            raise ShellError(f"the container's shell is gone: {error}") from error
        said, errors = bytearray(), bytearray()
        while not said.endswith(b"\n"):
            stream, data = next(self._frames, (0, b""))
            if not data:
                raise ShellError(f"the container's shell ended: {errors.decode(errors='replace').strip()}")
            (said if stream == STDOUT else errors).extend(data)
        self._asked = False
        return json.loads(said)

    def close(self) -> None:
        """Closes its standard input, which ends it."""
        self._stream._sock.close()
        self._stream.close()


def end_all(shells: list[Shell]) -> None:
    """Closes each."""
    while shells:
        shells.pop().close()
