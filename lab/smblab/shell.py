"""Runs other programs: output is kept or goes to a log, failure is a LabError that shows the log's end."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING, TypeVar

from .errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

Result = TypeVar("Result")
TAIL_LINES = 15
SHOWN_COLUMNS = 160
# Seconds before a fetch is tried again: registries and mirrors fail now and then.
PAUSES = (5.0, 20.0)


def output(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    timeout: float = 300,
) -> bytes:
    """Standard output of a command.

    Raises:
        LabError: it isn't there, took longer than `timeout` seconds or ended with an error.
    """
    try:
        done = subprocess.run(
            [str(word) for word in command],
            env=_environment(env),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"{command[0]} is not installed; install it and try again") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{shown(command)}` did not end within {timeout:.0f} s") from error
    if done.returncode:
        detail = tail(done.stderr.decode(errors="replace") or done.stdout.decode(errors="replace"))
        raise LabError(f"`{shown(command)}` failed with exit code {done.returncode}:\n{detail}")
    return done.stdout


def text(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, timeout: float = 300) -> str:
    """Like `output`, decoded and stripped."""
    return output(command, env=env, timeout=timeout).decode(errors="replace").strip()


def succeeds(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, timeout: float = 60) -> bool:
    """Whether a command ends with 0."""
    try:
        output(command, env=env, timeout=timeout)
    except LabError:
        return False
    return True


def logged(
    command: Sequence[str | Path], log: Path, *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> None:
    """Run a long command with everything that it says appended to `log`.

    Raises:
        LabError: it isn't there or ended with an error; the message has the log's last lines and its path.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        sink.write(f"\n$ {shown(command)}\n".encode())
        sink.flush()
        start = sink.tell()
        try:
            done = subprocess.run(
                [str(word) for word in command],
                env=_environment(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                check=False,
            )
        except FileNotFoundError as error:
            raise LabError(f"{command[0]} is not installed; install it and try again") from error
    if done.returncode:
        with log.open("rb") as source:
            source.seek(start)
            detail = tail(source.read().decode(errors="replace"))
        raise LabError(f"`{shown(command)}` failed with exit code {done.returncode} (full log: {log}):\n{detail}")


def fetched(fetch: Callable[[], Result]) -> Result:
    """Runs what fetches from a registry or a mirror, and tries it again, saying so, where it fails.

    Raises:
        LabError: it failed each time.
    """
    for pause in PAUSES:
        try:
            return fetch()
        except LabError as error:
            print(f"  · trying again in {pause:.0f} s: {error}", file=sys.stderr, flush=True)
            time.sleep(pause)
    return fetch()


def tail(said: str, lines: int = TAIL_LINES) -> str:
    """The last lines of what a program said, indented."""
    return "\n".join("    " + line for line in said.strip().splitlines()[-lines:])


def shown(command: Sequence[str | Path]) -> str:
    """A command as a person would type it, cut to one readable line."""
    line = shlex.join(str(word) for word in command).replace("\n", " ")
    return textwrap.shorten(line, SHOWN_COLUMNS, placeholder=" ...")


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, **(extra or {})}
