"""The command line: what may be given, and the help that says so."""

import argparse
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from smbferry_cli.sources import NamedPath

MAX_NAMESERVERS: Final = 3
_EXIT_CODES: Final = """\
exit codes:
  0  done                                20  network or KDC
  3  done, but single files failed       21  clock
  10 manifests can't be used             22  DNS
  11 identity refused                    30  destination full
  12 policy refused (no encryption)      40  cancelled
  13 share or access denied              70  a bug: please report it
  14 a guard tripped (maxDeletes)        2   wrong arguments
"""
_CHECK: Final = """\
Runs the checks that the cluster would run, and prints a verdict for each: names, KDC, clock, keytab, key version
and ticket of every KerberosIdentity; names, ticket, connection, encryption and access of every SmbLocation.
Nothing is written to any share. An identity that fails is asked once, not again for each of its locations.
"""
_RUN: Final = """\
Checks both sides, then transfers, as a TransferRun in a cluster would. Ctrl-C ends the run in order: what was being
copied is taken away again. A second Ctrl-C ends it at once.
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


def parser(version: str) -> argparse.ArgumentParser:
    """The whole command line; `command` in the result is check, run or help."""
    top = argparse.ArgumentParser(
        prog="smbferry",
        description="Transfers between SMB shares: Kerberos only, encrypted only. Without a cluster, from manifests.",
        epilog=_EXIT_CODES + "\nsmbferry help COMMAND tells more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"smbferry {version}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    check = _command(commands, "check", "check identities and locations, and say what is wrong", _CHECK)
    check.epilog = _EXAMPLES_OF_CHECK
    _manifests(check, "table")
    run = _command(commands, "run", "run a transfer task", _RUN)
    run.epilog = _EXAMPLES_OF_RUN
    _manifests(run, "text")
    run.add_argument("--task", metavar="NAME", help="the TransferTask to run; needed where the files hold several")
    run.add_argument("--dry-run", action="store_true", help="count what would be done, and write nothing")
    help_ = _command(commands, "help", "show the help of a command", "")
    help_.add_argument("topic", nargs="?", choices=("check", "run"), metavar="COMMAND")
    top.set_defaults(helps={None: top, "check": check, "run": run})
    return top


def parse(version: str, argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments; wrong ones, --help and --version end the process as argparse does."""
    top = parser(version)
    arguments = top.parse_args(argv)
    if len(getattr(arguments, "nameserver", ())) > MAX_NAMESERVERS:
        top.error(f"--nameserver: at most {MAX_NAMESERVERS} are used")
    return arguments


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",  # argparse gives its type no other name
    name: str,
    summary: str,
    description: str,
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name, help=summary, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def _manifests(command: argparse.ArgumentParser, format_: str) -> None:
    command.add_argument("files", metavar="FILE", nargs="+", type=Path, help="manifests: YAML or JSON, or folders")
    command.add_argument(
        "--keytab", metavar="NAME=PATH", type=_named_path, action="append", default=[],
        help="a keytab file in the place of the Secret NAME, or a folder of its keys",
    )  # fmt: skip
    command.add_argument(
        "--krb5-conf", metavar="NAME=PATH", type=_named_path, action="append", default=[],
        help="a krb5.conf in the place of the ConfigMap NAME, or a folder of its keys",
    )  # fmt: skip
    command.add_argument(
        "--nameserver", metavar="ADDRESS", type=_address, action="append", default=[],
        help="a DNS server for objects that give no nameservers of their own (up to 3 times)",
    )  # fmt: skip
    command.add_argument(
        "-o", "--output", choices=(format_, "json"), default=format_, help=f"{format_} (default) or json, on stdout"
    )
    command.add_argument("-v", "--verbose", action="store_true", help="log lines on stderr")


def _named_path(text: str) -> NamedPath:
    try:
        return NamedPath.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected an IP address, found {text!r}") from None
