"""`smbferry`: parses the arguments, runs the command, and reports errors with an exit code."""

import importlib.metadata
import logging
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from smbferry_api.exit_codes import ExitCode
from smbferry_cli.arguments import PROGRAM, parse, parser
from smbferry_cli.bindings import BINDINGS
from smbferry_cli.completion import COMPLETE, SCRIPTS, candidates
from smbferry_cli.exits import ClusterError
from smbferry_cli.manifests import ManifestError
from smbferry_cli.reporting import report_command
from smbferry_cli.text import safe
from smbferry_cli.verbs.arguments import IN_CLUSTER
from smbferry_cli.verbs.metavars import COMPLETED
from smbferry_cli.writing import import_command, init_command

_OURS: Final = "smbferry_"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code."""
    words = sys.argv[1:] if argv is None else argv
    prog = "kubectl smbferry" if Path(sys.argv[0]).name.startswith("kubectl-") else PROGRAM
    if words and words[0] == COMPLETE:
        return _complete(words[1:])
    arguments = parse(_version(), words, prog)
    try:
        return int(_run(arguments))
    except (ManifestError, ClusterError) as error:
        return _end(error.exit_code, str(error))
    except KeyboardInterrupt:
        return _end(ExitCode.CANCELLED, "cancelled")
    except Exception as error:
        if arguments.verbose:
            raise
        said = f"{type(error).__name__}: {error}. This is a bug in smbferry; run with --verbose to see where it "
        "happened."
        return _end(ExitCode.BUG, said)


def complete_for_kubectl() -> int:
    """`kubectl_complete-smbferry`: prints completion candidates for kubectl in cobra's format."""
    return _complete(sys.argv[1:])


def _complete(words: Sequence[str]) -> int:
    print(*candidates(parser(_version()), words, _names, COMPLETED), sep="\n")
    return ExitCode.DONE


def _names(metavar: str, typed: Mapping[str, str], begun: str) -> list[str]:
    try:
        # Imported late, because it needs optional packages; without them there is no cluster to ask.
        from smbferry_cli.verbs.names import names  # noqa: PLC0415 (see above)
    except ImportError as error:
        if (error.name or "").startswith(_OURS):
            raise
        return []
    return names(metavar, typed, begun)


def _help(arguments: Namespace) -> ExitCode:
    arguments.helps[arguments.topic].print_help()
    return ExitCode.DONE


def _completion(arguments: Namespace) -> ExitCode:
    print(SCRIPTS[arguments.shell], end="")
    return ExitCode.DONE


def _run(arguments: Namespace) -> ExitCode:
    light = {
        "help": _help,
        "completion": _completion,
        "import": import_command,
        "init": init_command,
        "report": report_command,
    }
    if arguments.command in light:
        return light[arguments.command](arguments)
    if arguments.command in IN_CLUSTER:
        return _in_cluster(arguments)
    _set_up_logs(verbose=arguments.verbose)
    try:
        # Imported late, so that help and version work without the agent's packages.
        from smbferry_agent.hardening import forbid_core_dumps  # noqa: PLC0415 (see above)
        from smbferry_cli.commands import check_command, run_command, survey_command  # noqa: PLC0415 (see above)

        forbid_core_dumps()
        heavy = {"check": check_command, "run": run_command, "survey": survey_command}
        return heavy[arguments.command](arguments)
    except ImportError as error:
        if (error.name or "").startswith(_OURS):
            raise
        return ExitCode(_end(ExitCode.CONFIGURATION, missing(error)))


def _in_cluster(arguments: Namespace) -> ExitCode:
    try:
        # Imported late, because it needs optional packages, though neither the agent's nor libkrb5.
        from smbferry_cli.verbs.run import run_verb  # noqa: PLC0415 (see above)
    except ImportError as error:
        if (error.name or "").startswith(_OURS):
            raise
        said = f"a Python package is missing ({error}). Install smbferry with: pip install '.[kubectl]' in its source "
        "folder"
        return ExitCode(_end(ExitCode.CONFIGURATION, said))
    try:
        return run_verb(arguments)
    except KeyboardInterrupt:
        return ExitCode(_end(ExitCode.CANCELLED, "stopped waiting; nothing in the cluster was cancelled"))


def missing(error: ImportError) -> str:
    """Returns installation instructions for a module that cannot be imported."""
    extras = "pip install '.[agent,cli,kerberos]' in smbferry's source folder"
    if (error.name or "").partition(".")[0] in BINDINGS or "krb5" in str(error):
        return (
            f"cannot load the MIT Kerberos library and its Python bindings ({error}). Install libkrb5 with its "
            "headers and a C compiler (Debian, Ubuntu: apt-get install libkrb5-dev gcc "
            f"python3-dev; Fedora, RHEL: dnf install krb5-devel gcc python3-devel), then run: {extras}"
        )
    return f"a Python package is missing ({error}). Install smbferry with its extras: {extras}"


def _set_up_logs(*, verbose: bool) -> None:
    if not verbose:
        # The verdicts and the summary contain the same information as the logs.
        logging.root.addHandler(logging.NullHandler())
        return
    from smbferry_agent.logs import set_up  # noqa: PLC0415 (the agent is imported only where it is needed)

    set_up()


def _version() -> str:
    try:
        return importlib.metadata.version("smbferry")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed; run from source)"


def _end(code: int, said: str) -> int:
    print(f"smbferry: {safe(said)}", file=sys.stderr)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
