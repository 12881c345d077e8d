"""Standard output and standard error as a person sees them, or another program reads them."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console

_PIPED_WIDTH: Final = 160


def console(*, to_stderr: bool = False) -> Console:
    """Colours on terminals only, and never with NO_COLOR. What is piped is not wrapped at 80 columns."""
    piped = not (sys.stderr if to_stderr else sys.stdout).isatty() and "COLUMNS" not in os.environ
    return _Console(stderr=to_stderr, highlight=False, markup=False, width=_PIPED_WIDTH if piped else None)


class _Console(Console):
    """rich's console, but a reader that has gone is the caller's to deal with: rich itself would end the process."""

    def on_broken_pipe(self) -> None:
        """Called where BrokenPipeError was raised."""
        raise BrokenPipeError


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """`smbferry check ... | head`: the exit code still tells how the check or the run ended."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # What Python still holds of the output must not raise once more when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(document: dict[str, Any]) -> None:
    """A document on standard output."""
    # ASCII: names from a server may hold lone surrogates and control characters, which no terminal should see.
    print(json.dumps(document, indent=2))
