"""The command line: what may be given, and the help that says so."""

import argparse
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from smbferry_cli.completion import SCRIPTS
from smbferry_cli.compose import Unc
from smbferry_cli.sources import NamedPath

PROGRAM: Final = "smbferry"
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
_WATCH: Final = """\
Shows a task's run in the cluster of your kubeconfig until it has ended: phase, bytes, rate, files, time left, what
failed; where it does not go on, the condition that says why. Ends with the run's summary, and with the exit code that
`smbferry run` would have had. Where no run is under way it waits for one that is to come; where none is, it shows the
last. Ctrl-C ends the watching, not the run.
"""
_COMPLETION: Final = """\
Prints a script by which a shell completes smbferry's commands and options. For kubectl nothing is needed but
kubectl's own completion.
"""
_EXAMPLES_OF_WATCH: Final = """\
examples:
  smbferry watch nightly
  kubectl smbferry watch nightly -n ferry
  smbferry watch nightly -o json | jq -r .status.progress.percent
"""
_EXAMPLES_OF_COMPLETION: Final = """\
examples:
  source <(smbferry completion bash)                                        (in ~/.bashrc)
  smbferry completion zsh > "${fpath[1]}/_smbferry"
  smbferry completion fish > ~/.config/fish/completions/smbferry.fish
"""
_IMPORT: Final = """\
Turns what `aws datasync describe-task` and `describe-location-smb` print into manifests, on stdout. Whatever has no
equal here is said on stderr and at the head of the output. Exit code 10 when something must be mended first.
"""
_INIT: Final = """\
Writes the manifests of one transfer: ConfigMap, Secrets, KerberosIdentities, SmbLocations and a TransferTask. What no
flag gives is asked for, when there is a terminal.
"""
_REPORT: Final = """\
Writes a run as one HTML page: what was copied, verified, left alone and what failed and why, the throughput, the sizes
of the files and the proof of encryption. FILE is a report's summary, or a TransferRun as JSON.
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
    """The whole command line; `command` in the result is check, run, watch, init, import, report, completion or help.

    Args:
        version: what --version says.
        prog: how the user has called it.
    """
    top = argparse.ArgumentParser(
        prog=prog,
        description="Transfers between SMB shares: Kerberos only, encrypted only. In a cluster, and without one.",
        epilog=f"{_EXIT_CODES}\n{prog} help COMMAND tells more.",
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
    watch = _command(commands, "watch", "watch a task's run in a cluster", _WATCH)
    watch.epilog = _EXAMPLES_OF_WATCH
    _watch(watch)
    init = _command(commands, "init", "write the manifests of a transfer", _INIT)
    init.epilog = _EXAMPLES_OF_INIT
    _init(init)
    import_ = _command(commands, "import", "turn AWS DataSync's tasks into manifests", _IMPORT)
    import_.epilog = _EXAMPLES_OF_IMPORT
    import_.add_argument("tool", choices=("datasync",), help="whose tasks")
    import_.add_argument("files", metavar="FILE", nargs="+", type=Path, help="JSON: an object, or a list of them")
    report = _command(commands, "report", "write a run as an HTML page", _REPORT)
    report.epilog = _EXAMPLES_OF_REPORT
    report.add_argument("file", metavar="FILE", type=Path, help="JSON: a summary or a TransferRun; - for stdin")
    report.add_argument("--records", metavar="FILE", type=Path, help="the records beside the summary: *.files.jsonl.gz")
    report.add_argument("-o", "--output", metavar="FILE", type=Path, help="the page (default: RUN.html)")
    report.add_argument("--open", action="store_true", help="show it in a browser")
    completion = _command(commands, "completion", "print a shell's completion script", _COMPLETION)
    completion.epilog = _EXAMPLES_OF_COMPLETION
    completion.add_argument("shell", choices=tuple(SCRIPTS), help="whose script")
    help_ = _command(commands, "help", "show the help of a command", "")
    helps: dict[str | None, argparse.ArgumentParser] = {name: commands.choices[name] for name in commands.choices}
    del helps["help"]
    help_.add_argument("topic", nargs="?", choices=tuple(helps), metavar="COMMAND")
    helps[None] = top
    top.set_defaults(helps=helps, verbose=False)
    return top


def parse(version: str, argv: Sequence[str] | None, prog: str = PROGRAM) -> argparse.Namespace:
    """The arguments; wrong ones, --help and --version end the process as argparse does."""
    top = parser(version, prog)
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


def _watch(command: argparse.ArgumentParser) -> None:
    command.add_argument("task", metavar="TASK", help="the TransferTask's name")
    command.add_argument("-n", "--namespace", metavar="NAME", help="where it is (default: that of the context)")
    command.add_argument("--context", metavar="NAME", help="which of the kubeconfig's contexts (default: the current)")
    command.add_argument("--kubeconfig", metavar="FILE", help="in place of $KUBECONFIG or ~/.kube/config")
    command.add_argument(
        "-o", "--output", choices=("text", "json"), default="text",
        help="text (default), or json: each state of the task and its run, one object a line, on stdout",
    )  # fmt: skip


def _init(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", type=Path, help="where the files go; made when it is not there")
    command.add_argument("--name", default="transfer", help="the TransferTask's name (default: transfer)")
    command.add_argument("--source", metavar="//SERVER/SHARE/PATH", type=_unc, help="what is copied")
    command.add_argument("--destination", metavar="//SERVER/SHARE/PATH", type=_unc, help="where it goes")
    command.add_argument("--principal", metavar="NAME@REALM", help="who opens the shares; case-sensitive")
    command.add_argument(
        "--destination-principal", metavar="NAME@REALM", help="who opens the destination, if somebody else"
    )
    command.add_argument("--keytab", metavar="FILE", type=Path, help="the principal's keytab: put into a Secret")
    command.add_argument("--destination-keytab", metavar="FILE", type=Path, help="that of --destination-principal")
    command.add_argument("--krb5-conf", metavar="FILE", type=Path, help="in place of one that asks DNS for the KDCs")
    command.add_argument("--schedule", metavar="CRON", help='such as "0 2 * * *"; without it the task runs once')
    command.add_argument(
        "--nameserver", metavar="ADDRESS", type=_address, action="append", default=[],
        help="a DNS server of the domain, where the cluster's does not know its names (up to 3 times)",
    )  # fmt: skip
    command.add_argument("--force", action="store_true", help="replace files that are there")


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


def _unc(text: str) -> Unc:
    try:
        return Unc.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected an IP address, found {text!r}") from None
