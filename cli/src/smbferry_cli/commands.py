"""The commands: read the manifests, call check or run, print. Needs the agent and libkrb5, so it is imported late."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from smbferry_api.exit_codes import ExitCode
from smbferry_cli import tables
from smbferry_cli.bindings import need_bindings
from smbferry_cli.cancel import Cancel
from smbferry_cli.check import check
from smbferry_cli.manifests import Manifests, load
from smbferry_cli.progress import view_of
from smbferry_cli.run import chosen_task, run
from smbferry_cli.sources import with_files, with_nameservers
from smbferry_cli.text import safe
from smbferry_cli.verdicts import Word, as_list, conclusion, exit_code
from smbferry_cli.workspace import Workspace

_PIPED_WIDTH: Final = 160


def check_command(arguments: argparse.Namespace) -> ExitCode:
    """`smbferry check`."""
    manifests = _manifests(arguments)
    errors = _console(to_stderr=True)
    workspace = Workspace()
    with _cancel(workspace, errors) as cancel, workspace, cancel.droppable(), errors.status("") as shown:
        verdicts = list(check(manifests, workspace, lambda what: shown.update(Text(f"checking {safe(what)}"))))
    code = exit_code(verdicts)
    with _reader_may_leave():
        if arguments.output == "json":
            _print_json(as_list(verdicts))
            return code
        console = _console()
        console.print(tables.verdicts_view(verdicts, console.width))
        console.print(Text(safe(conclusion(verdicts)), tables.style_of(Word.FAILED if code else Word.OK)))
    return code


def run_command(arguments: argparse.Namespace) -> ExitCode:
    """`smbferry run`."""
    manifests = _manifests(arguments)
    task = chosen_task(manifests, arguments.task)
    need_bindings()
    errors = _console(to_stderr=True)
    workspace = Workspace()
    with _cancel(workspace, errors) as cancel, workspace, view_of(errors) as view:
        ended = run(task, manifests, workspace, view, cancel, dry_run=arguments.dry_run)
    with _reader_may_leave():
        if arguments.output == "json":
            _print_json(ended.manifest())
        else:
            _console().print(tables.summary(ended.task, ended.status, dry_run=ended.dry_run, to_delete=ended.to_delete))
    return ended.code


def _manifests(arguments: argparse.Namespace) -> Manifests:
    found = with_files(load(arguments.files), arguments.keytab, arguments.krb5_conf)
    return with_nameservers(found, arguments.nameserver)


def _cancel(workspace: Workspace, errors: Console) -> Cancel:
    def hard() -> None:
        workspace.wipe()
        errors.show_cursor()

    return Cancel(lambda: errors.print("Ending in order; once more to end at once."), hard)


def _console(*, to_stderr: bool = False) -> Console:
    """Colours on terminals only, and never with NO_COLOR. What is piped is not wrapped at 80 columns."""
    piped = not (sys.stderr if to_stderr else sys.stdout).isatty() and "COLUMNS" not in os.environ
    return _Console(stderr=to_stderr, highlight=False, markup=False, width=_PIPED_WIDTH if piped else None)


class _Console(Console):
    """rich's console, but a reader that has gone is the caller's to deal with: rich itself would end the process."""

    def on_broken_pipe(self) -> None:
        """Called where BrokenPipeError was raised."""
        raise BrokenPipeError


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """`smbferry check ... | head`: the exit code still tells how the check or the run ended."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # What Python still holds of the output must not raise once more when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_json(document: dict[str, Any]) -> None:
    # ASCII: names from a server may hold lone surrogates and control characters, which no terminal should see.
    print(json.dumps(document, indent=2))
