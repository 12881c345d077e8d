"""`smbferry`: parses, calls, and turns every end into a sentence and an exit code."""

import importlib.metadata
import logging
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from smbferry_api.exit_codes import ExitCode
from smbferry_cli.arguments import PROGRAM, parse, parser
from smbferry_cli.bindings import BINDINGS
from smbferry_cli.completion import COMPLETE, KUBECTL_OFFERS_FILES, SCRIPTS, candidates
from smbferry_cli.exits import ClusterError
from smbferry_cli.manifests import ManifestError
from smbferry_cli.reporting import report_command
from smbferry_cli.text import safe
from smbferry_cli.writing import import_command, init_command

_OURS: Final = "smbferry_"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns the process's exit code."""
    words = sys.argv[1:] if argv is None else argv
    prog = "kubectl smbferry" if Path(sys.argv[0]).name.startswith("kubectl-") else PROGRAM
    if words and words[0] == COMPLETE:
        print(*candidates(parser(_version(), prog), words[1:]), sep="\n")
        return ExitCode.DONE
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
        said = f"{type(error).__name__}: {error}. This is a bug in smbferry; --verbose shows where it happened."
        return _end(ExitCode.BUG, said)


def complete_for_kubectl() -> int:
    """`kubectl_complete-smbferry`: kubectl asks it what may come next, as it asks cobra's programs."""
    print(*candidates(parser(_version()), sys.argv[1:]), KUBECTL_OFFERS_FILES, sep="\n")
    return ExitCode.DONE


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
        "watch": _watch,
    }
    if arguments.command in light:
        return light[arguments.command](arguments)
    _set_up_logs(verbose=arguments.verbose)
    try:
        # Late, so that help and version work without the agent's packages.
        from smbferry_agent.hardening import forbid_core_dumps  # noqa: PLC0415 (see above)
        from smbferry_cli.commands import check_command, run_command  # noqa: PLC0415 (see above)

        forbid_core_dumps()
        return check_command(arguments) if arguments.command == "check" else run_command(arguments)
    except ImportError as error:
        if (error.name or "").startswith(_OURS):
            raise
        return ExitCode(_end(ExitCode.CONFIGURATION, missing(error)))


def _watch(arguments: Namespace) -> ExitCode:
    try:
        # Late: neither the agent's packages nor libkrb5 are needed for it, but others are.
        from smbferry_cli.watch import watch_command  # noqa: PLC0415 (see above)
    except ImportError as error:
        if (error.name or "").startswith(_OURS):
            raise
        said = f"a Python package is missing ({error}). Install smbferry with: pip install '.[watch]' in its source"
        return ExitCode(_end(ExitCode.CONFIGURATION, said))
    try:
        return watch_command(arguments)
    except KeyboardInterrupt:
        return ExitCode(_end(ExitCode.CANCELLED, "no longer watched; what goes on in the cluster goes on"))


def missing(error: ImportError) -> str:
    """What to install, when a module that the commands need can't be imported."""
    extras = "pip install '.[agent,cli,kerberos]' in smbferry's source"
    if (error.name or "").partition(".")[0] in BINDINGS or "krb5" in str(error):
        return (
            f"MIT Kerberos' library and its Python bindings are needed and can't be loaded ({error}). "
            "Install libkrb5 with its headers and a C compiler (Debian, Ubuntu: apt-get install libkrb5-dev gcc "
            f"python3-dev; Fedora, RHEL: dnf install krb5-devel gcc python3-devel), then: {extras}"
        )
    return f"a Python package is missing ({error}). Install smbferry with its extras: {extras}"


def _set_up_logs(*, verbose: bool) -> None:
    if not verbose:
        # The verdicts and the summary say everything that the log lines would.
        logging.root.addHandler(logging.NullHandler())
        return
    from smbferry_agent.logs import set_up  # noqa: PLC0415 (the agent is imported only where it is needed)

    set_up()


def _version() -> str:
    try:
        return importlib.metadata.version("smbferry")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed: run from its source)"


def _end(code: ExitCode, said: str) -> int:
    print(f"smbferry: {safe(said)}", file=sys.stderr)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
