"""The commands check, run and survey. Imported late, because they need the agent and libkrb5."""

import argparse

from rich.console import Console
from rich.text import Text

from smbferry_api.exit_codes import ExitCode
from smbferry_cli import tables
from smbferry_cli.bindings import need_bindings
from smbferry_cli.cancel import Cancel
from smbferry_cli.check import check
from smbferry_cli.html import Facts
from smbferry_cli.manifests import Manifests, load
from smbferry_cli.progress import view_of
from smbferry_cli.reporting import places_of, summary_of, write_page
from smbferry_cli.run import chosen_task, run, survey
from smbferry_cli.sources import with_files, with_nameservers
from smbferry_cli.terminal import console, print_json, reader_may_leave
from smbferry_cli.text import safe
from smbferry_cli.verdicts import Word, as_list, conclusion, exit_code
from smbferry_cli.workspace import Workspace


def check_command(arguments: argparse.Namespace) -> ExitCode:
    """`smbferry check`."""
    manifests = _manifests(arguments)
    errors = console(to_stderr=True)
    workspace = Workspace()
    with _cancel(workspace, errors) as cancel, workspace, cancel.droppable(), errors.status("") as shown:
        verdicts = list(check(manifests, workspace, lambda what: shown.update(Text(f"checking {safe(what)}"))))
    code = exit_code(verdicts)
    with reader_may_leave():
        if arguments.output == "json":
            print_json(as_list(verdicts))
            return code
        out = console()
        out.print(tables.verdicts_view(verdicts, out.width))
        out.print(Text(safe(conclusion(verdicts)), tables.style_of(Word.FAILED if code else Word.OK)))
    return code


def run_command(arguments: argparse.Namespace) -> ExitCode:
    """`smbferry run`."""
    manifests = _manifests(arguments)
    task = chosen_task(manifests, arguments.task)
    need_bindings()
    errors = console(to_stderr=True)
    workspace = Workspace()
    with _cancel(workspace, errors) as cancel, workspace, view_of(errors) as view:
        ended = run(task, manifests, workspace, view, cancel, dry_run=arguments.dry_run)
    with reader_may_leave():
        if arguments.output == "json":
            print_json(ended.manifest())
        else:
            console().print(tables.summary(ended.task, ended.status, dry_run=ended.dry_run, to_delete=ended.to_delete))
    return ended.code


def survey_command(arguments: argparse.Namespace) -> ExitCode:
    """`smbferry survey`."""
    manifests = _manifests(arguments)
    task = chosen_task(manifests, arguments.task)
    need_bindings()
    errors = console(to_stderr=True)
    workspace = Workspace()
    with _cancel(workspace, errors) as cancel, workspace, view_of(errors) as view:
        ended = survey(task, manifests, workspace, view, cancel, measure_destination=arguments.measure_destination)
    if arguments.html is not None:
        write_page(arguments.html, Facts({**summary_of(ended.manifest()), **places_of(task)}))
    with reader_may_leave():
        if arguments.output == "json":
            print_json(ended.manifest())
        else:
            console().print(tables.summary(ended.task, ended.status, dry_run=False))
    return ended.code


def _manifests(arguments: argparse.Namespace) -> Manifests:
    found = with_files(load(arguments.files), arguments.keytab, arguments.krb5_conf)
    return with_nameservers(found, arguments.nameserver)


def _cancel(workspace: Workspace, errors: Console) -> Cancel:
    def hard() -> None:
        workspace.wipe()
        errors.show_cursor()

    return Cancel(lambda: errors.print("Stopping cleanly. Press Ctrl-C again to stop immediately."), hard)
