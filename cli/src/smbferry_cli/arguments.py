"""The command line's arguments and their help."""

import argparse
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from smbferry_cli.completion import SCRIPTS
from smbferry_cli.compose import Unc
from smbferry_cli.sources import NamedPath
from smbferry_cli.verbs.arguments import add_verbs, check_verb

PROGRAM: Final = "smbferry"
MAX_NAMESERVERS: Final = 3
_EXIT_CODES: Final = """\
exit codes:
  0  success                             20  network or KDC
  3  finished, but some files failed     21  clock
  10 invalid manifests                   22  DNS
  11 identity refused                    30  destination full
  12 policy violation (no encryption)    40  cancelled
  13 access denied, or share not found   70  a bug: please report it
  14 safety limit (maxDeletes)           2   invalid arguments
  1  --timeout of --wait is over
"""
_CHECK: Final = """\
Runs the same checks as the cluster and prints the result of each: DNS, KDC, clock, keytab, key version and ticket of
every KerberosIdentity; DNS, ticket, connection, encryption and access of every SmbLocation. Writes nothing to the
shares. Tries the key of an identity only once, even if it has several locations.
"""
_RUN: Final = """\
Checks both sides, then transfers files like a TransferRun in a cluster. Ctrl-C stops the run cleanly and removes
partial files. A second Ctrl-C stops it immediately.
"""
_SURVEY: Final = """\
Looks through the source of a task and shows what a migration will meet: numbers, sizes and ages of files, links, names
and paths that can't be copied, locked and denied files, accounts of other domains; and a forecast of the first copy and
of daily runs, from a sample that is timed. Writes nothing, unless you ask for --measure-destination.
"""
_EXAMPLES_OF_SURVEY: Final = """\
examples:
  smbferry survey manifests/ --keytab svc-src-keytab=svc-src.keytab --html survey.html
  smbferry survey manifests/ --task nightly --measure-destination -o json
"""
_COMPLETION: Final = """\
Prints a shell script that completes smbferry's commands and options and, from the cluster, names of objects, namespaces
and contexts. The kubectl plugin only needs kubectl's own completion.
"""
_EXAMPLES_OF_COMPLETION: Final = """\
examples:
  source <(smbferry completion bash)                                        (in ~/.bashrc)
  smbferry completion zsh > "${fpath[1]}/_smbferry"
  smbferry completion fish > ~/.config/fish/completions/smbferry.fish
"""
_IMPORT: Final = """\
Converts the output of `aws datasync describe-task` and `describe-location-smb` to manifests on stdout. Lists settings
without an equivalent on stderr and at the top of the output. Exits with 10 if you must fix something first.
"""
_INIT: Final = """\
Writes the manifests of one transfer: ConfigMap, Secrets, KerberosIdentities, SmbLocations and a TransferTask. On a
terminal, asks for missing values.
"""
_REPORT: Final = """\
Writes a report of a run as one HTML page: numbers of copied, verified and skipped files, failures with their reason,
throughput, file sizes and proof of encryption. FILE is a report's summary, or a TransferRun as JSON.
"""
_EXAMPLES_OF_REPORT: Final = """\
examples:
  smbferry report nightly-x7.summary.json --records nightly-x7.files.jsonl.gz
  kubectl get transferrun nightly-x7 -o json | smbferry report -
"""
_EXAMPLES_OF_IMPORT: Final = """\
examples:
  aws datasync describe-task --task-arn ARN > task.json
  aws datasync describe-location-smb --location-arn ARN > source.json   (and the destination)
  smbferry import datasync task.json source.json destination.json > transfer.yaml
"""
_EXAMPLES_OF_INIT: Final = """\
examples:
  smbferry init manifests/
  smbferry init manifests/ --principal svc@CORP.EXAMPLE.COM --keytab svc.keytab \\
    --source //files1.corp.example.com/finance --destination //files2.corp.example.com/finance/copy
"""
_EXAMPLES_OF_CHECK: Final = """\
examples:
  smbferry check manifests/ --keytab svc-src-keytab=svc-src.keytab
  smbferry check identity.yaml location.yaml -o json
"""
_EXAMPLES_OF_RUN: Final = """\
examples:
  smbferry run manifests/ --keytab svc-src-keytab=svc-src.keytab --dry-run
  smbferry run manifests/ --task nightly
"""


def parser(version: str, prog: str = PROGRAM) -> argparse.ArgumentParser:
    """Returns the parser; `command` in its result is the command's name.

    Args:
        version: the output of --version.
        prog: the name under which the user called the program.
    """
    top = argparse.ArgumentParser(
        prog=prog,
        description="Transfers files between SMB shares with Kerberos and encryption only, in a cluster or without "
        "one.",
        epilog=f"{_EXIT_CODES}\n{prog} help COMMAND shows the help of a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"smbferry {version}")
    commands = top.add_subparsers(
        dest="command", metavar="COMMAND", required=True, title="commands", parser_class=_Intermixed
    )
    _add_local(commands)
    add_verbs(lambda name, summary, description, examples: _command(commands, name, summary, description, examples))
    _add_files(commands)
    help_ = _command(commands, "help", "show the help of a command", "", "")
    helps: dict[str | None, argparse.ArgumentParser] = {name: commands.choices[name] for name in commands.choices}
    del helps["help"]
    help_.add_argument("topic", nargs="?", choices=tuple(helps), metavar="COMMAND")
    helps[None] = top
    top.set_defaults(helps=helps, verbose=False)
    return top


def parse(version: str, argv: Sequence[str] | None, prog: str = PROGRAM) -> argparse.Namespace:
    """Parses the arguments. Invalid arguments, --help and --version end the process like argparse does."""
    top = parser(version, prog)
    arguments = top.parse_args(argv)
    if len(getattr(arguments, "nameserver", ())) > MAX_NAMESERVERS:
        top.error(f"--nameserver: expected at most {MAX_NAMESERVERS}, got {len(arguments.nameserver)}")
    if wrong := check_verb(arguments):
        top.error(wrong)
    return arguments


class _Intermixed(argparse.ArgumentParser):
    """Takes arguments before, between and after options, as kubectl does: get tasks -n ferry nightly."""

    _splitting = False

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]  # overloads, as argparse's
        """Parses the arguments; argparse calls this again for options and positionals."""
        if self._splitting:
            return super().parse_known_args(args, namespace)
        self._splitting = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._splitting = False


_Commands = argparse._SubParsersAction  # noqa: SLF001 (argparse gives its type no other name)


def _command(
    commands: "_Commands[_Intermixed]", name: str, summary: str, description: str, examples: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name, help=summary, description=description, epilog=examples or None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip


def _add_local(commands: "_Commands[_Intermixed]") -> None:
    """Adds the commands that need no cluster."""
    summary = "check identities and locations, and explain problems"
    _manifests(_command(commands, "check", summary, _CHECK, _EXAMPLES_OF_CHECK), "table")
    run = _command(commands, "run", "run a transfer task", _RUN, _EXAMPLES_OF_RUN)
    _manifests(run, "text")
    run.add_argument("--task", metavar="NAME", help="the TransferTask to run; required if the files contain several")
    run.add_argument("--dry-run", action="store_true", help="only count files, and write nothing")
    survey = _command(commands, "survey", "look through a source before a migration", _SURVEY, _EXAMPLES_OF_SURVEY)
    _manifests(survey, "text")
    survey.add_argument(
        "--task", metavar="NAME", help="the TransferTask whose source it is; required if the files contain several"
    )
    survey.add_argument(
        "--measure-destination", action="store_true",
        help="also copy a sample to the destination and delete it, for a forecast of copying instead of reading",
    )  # fmt: skip
    survey.add_argument("--html", metavar="FILE", type=Path, help="also write the result as an HTML page")


def _add_files(commands: "_Commands[_Intermixed]") -> None:
    """Adds the commands that write manifests, reports and scripts."""
    _init(_command(commands, "init", "write the manifests of a transfer", _INIT, _EXAMPLES_OF_INIT))
    summary = "convert AWS DataSync tasks to manifests"
    import_ = _command(commands, "import", summary, _IMPORT, _EXAMPLES_OF_IMPORT)
    import_.add_argument("tool", choices=("datasync",), help="the tool to import from")
    import_.add_argument(
        "files", metavar="FILE", nargs="+", type=Path, help="JSON file with an object or a list of objects"
    )
    report = _command(commands, "report", "write a report of a run as an HTML page", _REPORT, _EXAMPLES_OF_REPORT)
    report.add_argument(
        "file", metavar="FILE", type=Path, help="JSON file with a summary or a TransferRun; - for stdin"
    )
    report.add_argument(
        "--records", metavar="FILE", type=Path, help="the records that belong to the summary: *.files.jsonl.gz"
    )
    report.add_argument("-o", "--output", metavar="FILE", type=Path, help="the HTML file (default: RUN.html)")
    report.add_argument("--open", action="store_true", help="open the page in a browser")
    summary = "print a completion script for a shell"
    completion = _command(commands, "completion", summary, _COMPLETION, _EXAMPLES_OF_COMPLETION)
    completion.add_argument("shell", choices=tuple(SCRIPTS), help="the shell")


def _init(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", type=Path, help="folder for the files; created if it does not exist")
    command.add_argument("--name", default="transfer", help="name of the TransferTask (default: transfer)")
    command.add_argument("--source", metavar="//SERVER/SHARE/PATH", type=_unc, help="the source folder")
    command.add_argument("--destination", metavar="//SERVER/SHARE/PATH", type=_unc, help="the destination folder")
    command.add_argument("--principal", metavar="NAME@REALM", help="principal that opens the shares; case-sensitive")
    command.add_argument(
        "--destination-principal", metavar="NAME@REALM", help="principal that opens the destination, if different"
    )
    command.add_argument("--keytab", metavar="FILE", type=Path, help="keytab of --principal, stored in a Secret")
    command.add_argument("--destination-keytab", metavar="FILE", type=Path, help="keytab of --destination-principal")
    command.add_argument(
        "--krb5-conf", metavar="FILE", type=Path, help="krb5.conf to use (default: one that finds KDCs in DNS)"
    )
    command.add_argument(
        "--schedule", metavar="CRON", help='schedule such as "0 2 * * *" (default: the task runs once)'
    )
    command.add_argument(
        "--nameserver", metavar="ADDRESS", type=_address, action="append", default=[],
        help="DNS server of the domain, if the cluster's DNS does not know the domain's names (up to 3 times)",
    )  # fmt: skip
    command.add_argument("--force", action="store_true", help="replace existing files")


def _manifests(command: argparse.ArgumentParser, format_: str) -> None:
    command.add_argument(
        "files", metavar="FILE", nargs="+", type=Path, help="manifests in YAML or JSON, or folders with manifests"
    )
    command.add_argument(
        "--keytab", metavar="NAME=PATH", type=_named_path, action="append", default=[],
        help="keytab file to use instead of the Secret NAME, or a folder with its keys",
    )  # fmt: skip
    command.add_argument(
        "--krb5-conf", metavar="NAME=PATH", type=_named_path, action="append", default=[],
        help="krb5.conf to use instead of the ConfigMap NAME, or a folder with its keys",
    )  # fmt: skip
    command.add_argument(
        "--nameserver", metavar="ADDRESS", type=_address, action="append", default=[],
        help="DNS server for objects without nameservers (up to 3 times)",
    )  # fmt: skip
    command.add_argument(
        "-o", "--output", choices=(format_, "json"), default=format_, help=f"{format_} (default) or json, on stdout"
    )
    command.add_argument("-v", "--verbose", action="store_true", help="write logs to stderr")


def _named_path(text: str) -> NamedPath:
    try:
        return NamedPath.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _unc(text: str) -> Unc:
    try:
        return Unc.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected an IP address, got {text!r}") from None
