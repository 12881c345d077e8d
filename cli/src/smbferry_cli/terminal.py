"""Standard output and standard error for people or other programs."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console

_PIPED_WIDTH: Final = 160


def console(*, to_stderr: bool = False) -> Console:
    """Returns a console: colors only on terminals and without NO_COLOR; piped output is not wrapped at 80 columns."""
    piped = not (sys.stderr if to_stderr else sys.stdout).isatty() and "COLUMNS" not in os.environ
    return _Console(stderr=to_stderr, highlight=False, markup=False, width=_PIPED_WIDTH if piped else None)


class _Console(Console):
    """rich's console, but the caller handles a closed pipe. rich itself would end the process."""

    def on_broken_pipe(self) -> None:
        """Called by rich on BrokenPipeError."""
        raise BrokenPipeError


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Keeps the exit code of a check or run if the reader closes the pipe, as in `smbferry check ... | head`."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Python's buffered output must not raise again when the process exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(document: dict[str, Any]) -> None:
    """Prints a document to standard output."""
    # ASCII, because names from a server may contain lone surrogates and control characters.
    print(json.dumps(document, indent=2))
