"""Arguments and help of the commands for objects in a cluster."""

import argparse
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

from smbferry_api.crd import KERBEROS_IDENTITY, SMB_LOCATION, TRANSFER_RUN, TRANSFER_TASK
from smbferry_api.fields import parse_duration
from smbferry_api.plan_status import DIGEST_LENGTH
from smbferry_api.run import NEVER
from smbferry_api.task import HIGHEST_PRIORITY, LOWEST_PRIORITY
from smbferry_cli.kinds import object_name, reference_to, requested
from smbferry_cli.verbs.metavars import CHECKED, CONTEXT, KIND, LOGGED, NAMES, NAMESPACE, RUN, TASK, TASK_OR_RUN

Add = Callable[[str, str, str, str], argparse.ArgumentParser]
"""Adds a command: name, summary, description, examples."""

IN_CLUSTER: Final = frozenset(
    {"get", "trigger", "approve", "cancel", "suspend", "resume", "recheck", "watch", "logs", "debug"}
)
"""The commands."""
RECHECK_TIMEOUT: Final = timedelta(minutes=5)
_NAMESPACE: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"

_GET: Final = """\
Lists objects with the columns of `kubectl get`: tasks, runs, identities, locations, or all of them. kubectl's names
work, too: xfer, transfertasks, TYPE/NAME. Output to a pipe is neither wrapped nor colored.
"""
_GET_EXAMPLES: Final = """\
examples:
  smbferry get tasks
  smbferry get all --all-namespaces
  smbferry get run nightly-28451234 -o yaml
  smbferry get runs --selector smbferry.io/task=nightly -o name
"""
_TRIGGER: Final = """\
Starts a run of a task now: creates a TransferRun and prints its name. The task's schedule goes on, a suspended task can
be triggered, too, and the task's manifest stays as it is. With --wait, shows the run until it ends, prints its summary
and exits with the same exit code as `smbferry run`; Ctrl-C stops waiting but not the run.
"""
_TRIGGER_EXAMPLES: Final = """\
examples:
  smbferry trigger nightly --wait
  smbferry trigger nightly --dry-run --wait
  RUN=$(smbferry trigger nightly --priority 100 -o name)
"""
_APPROVE: Final = """\
Shows the plan of a run that waits for approval (approval: Required of its task), and asks whether to approve it. Only
this plan is approved: if the run would do something else by then, it changes nothing and waits again. Scripts name the
plan that a person has seen with --plan; without a terminal nothing else is accepted.
"""
_APPROVE_EXAMPLES: Final = """\
examples:
  smbferry approve nightly
  smbferry approve run/nightly-28451234 --show
  smbferry approve nightly --plan 7xq2mhd6ifr3k5tu4cwbznlyeaogvp2s
"""
_CANCEL: Final = """\
Cancels runs: their agents remove partial files and end. Complete files stay, and the next run copies the rest. Runs
that have already ended stay as they are.
"""
_CANCEL_EXAMPLES: Final = """\
examples:
  smbferry cancel nightly-28451234
  smbferry cancel --task nightly --wait
"""
_SUSPEND: Final = """\
Suspends tasks (spec.suspend): no run starts automatically. An active run continues; `smbferry cancel --task` cancels
it. If a GitOps tool manages the task, change the field in Git, because the tool sets it back.
"""
_SUSPEND_EXAMPLES: Final = """\
examples:
  smbferry suspend nightly weekly
  smbferry suspend --all -n ferry
"""
_RESUME: Final = """\
Resumes suspended tasks. For run/RUN, lets a run that waits for the windows of its task move data now
(spec.ignoreWindows). If a GitOps tool manages the task, change spec.suspend in Git, because the tool sets it back.
"""
_RESUME_EXAMPLES: Final = """\
examples:
  smbferry resume nightly
  smbferry resume run/nightly-28451234
"""
_RECHECK: Final = """\
Requests a check of identities and locations now, for example after a new keytab. A check also tries a key that the KDC
has refused. With --wait, prints whether each is Ready and why, and exits with the code of the most severe failure. A
location is checked only if its identity is Ready.
"""
_RECHECK_EXAMPLES: Final = """\
examples:
  smbferry recheck identity/svc-src --wait
  smbferry recheck identity/svc-src location/source
  smbferry recheck --all -n ferry
"""
_WATCH: Final = """\
Shows a task's run in the cluster of your kubeconfig until it ends: phase, bytes, rate, files, remaining time and
failures. If the run is blocked, shows the blocking condition. At the end, prints the run's summary and exits with the
same exit code as `smbferry run`. If no run is active, waits for the next one; if none is due, shows the last one.
Ctrl-C stops watching but not the run.
"""
_WATCH_EXAMPLES: Final = """\
examples:
  smbferry watch nightly
  smbferry watch run/nightly-28451234
  kubectl smbferry watch nightly -n ferry
  smbferry watch nightly -o json | jq -r .status.progress.percent
"""
_LOGS: Final = """\
Prints the logs of agents: of a run, of a task's active or last run, or of the checks of an identity or a location. If
there are several pods, each line begins with the name of its pod. Logs are kept as long as the pods: those of a run
until the run is removed, those of a check for 5 minutes. They never contain keys, tickets or passwords.
"""
_LOGS_EXAMPLES: Final = """\
examples:
  smbferry logs nightly-28451234
  smbferry logs task/nightly --follow
  smbferry logs identity/svc-src --tail 20
"""
_DEBUG: Final = """\
Writes one file, a .tar.gz, that helps others to understand a problem: identities, locations, tasks and runs with their
conditions, Jobs and pods of agents, events, the last lines of the logs of agents and operator, the operator's metrics,
and versions. Values of variables, foreign annotations and what looks like a password or a token are removed. The
command reads no Secret and no ConfigMap. What you may not read is listed and left out.
"""
_DEBUG_EXAMPLES: Final = """\
examples:
  smbferry debug bundle
  smbferry debug bundle --all-namespaces -o problem.tar.gz
"""


def add_verbs(add: Add) -> None:
    """Adds the commands."""
    _add_get(add("get", "list objects in a cluster", _GET, _GET_EXAMPLES))
    _add_trigger(add("trigger", "start a run of a task", _TRIGGER, _TRIGGER_EXAMPLES))
    _add_approve(add("approve", "approve the plan of a run", _APPROVE, _APPROVE_EXAMPLES))
    _add_cancel(add("cancel", "cancel runs", _CANCEL, _CANCEL_EXAMPLES))
    _add_suspend(add("suspend", "suspend tasks", _SUSPEND, _SUSPEND_EXAMPLES))
    _add_resume(add("resume", "resume tasks, and runs that wait for windows", _RESUME, _RESUME_EXAMPLES))
    _add_recheck(add("recheck", "check identities and locations now", _RECHECK, _RECHECK_EXAMPLES))
    _add_watch(add("watch", "watch a task's run in a cluster", _WATCH, _WATCH_EXAMPLES))
    _add_logs(add("logs", "print the logs of agents", _LOGS, _LOGS_EXAMPLES))
    _add_debug(add("debug", "collect what helps to understand a problem", _DEBUG, _DEBUG_EXAMPLES))


def check_verb(chosen: argparse.Namespace) -> str:
    """Returns what is wrong with arguments that argparse cannot check by itself; empty if nothing is."""
    problems: dict[str, Callable[[argparse.Namespace], str]] = {
        "get": _wrong_get,
        "trigger": _wrong_trigger,
        "cancel": lambda c: _one_of(c.runs, c.task, RUN, "--task"),
        "suspend": lambda c: _one_of(c.tasks, c.all, TASK, "--all"),
        "resume": lambda c: _one_of(c.objects, c.all, TASK_OR_RUN, "--all"),
        "recheck": lambda c: _one_of(c.objects, c.all, CHECKED, "--all"),
    }
    check = problems.get(chosen.command)
    return f"{chosen.command}: {found}" if check and (found := check(chosen)) else ""


def _wrong_get(chosen: argparse.Namespace) -> str:
    names = chosen.requested.names or chosen.names
    if names and chosen.all_namespaces:
        return "expected a name or --all-namespaces, got both"
    if names and chosen.selector:
        return "expected a name or --selector, got both"
    return "expected one kind for a name, got all" if names and len(chosen.requested.kinds) > 1 else ""


def _wrong_trigger(chosen: argparse.Namespace) -> str:
    measures = chosen.measure_destination and not chosen.survey
    return "--measure-destination requires --survey" if measures else ""


def _one_of(named: object, option: object, what: str, flag: str) -> str:
    if named and option:
        return f"expected {what} or {flag}, got both"
    return "" if named or option else f"expected {what} or {flag}, got neither"


def _add_get(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "requested", metavar=KIND, type=requested, help="tasks, runs, identities, locations or all; or KIND/NAME"
    )
    command.add_argument("names", metavar=NAMES, nargs="*", default=[], type=object_name, help="only these objects")
    command.add_argument("-A", "--all-namespaces", action="store_true", help="objects of all namespaces")
    command.add_argument("-l", "--selector", metavar="LABELS", default="", help="only objects with these labels")
    command.add_argument(
        "-o", "--output", choices=("table", "wide", "json", "yaml", "name"), default="table",
        help="table (default); wide, with more columns; json or yaml, the objects; name",
    )  # fmt: skip
    _cluster(command)


def _add_trigger(command: argparse.ArgumentParser) -> None:
    command.add_argument("task", metavar=TASK, type=_task, help="the TransferTask")
    what = command.add_mutually_exclusive_group()
    what.add_argument("--dry-run", action="store_true", help="only count files, and write nothing")
    what.add_argument("--survey", action="store_true", help="only look through the source, before a migration")
    command.add_argument(
        "--measure-destination", action="store_true",
        help="with --survey: also copy a sample to the destination and delete it",
    )  # fmt: skip
    command.add_argument(
        "--priority", metavar="NUMBER", type=_priority,
        help=f"{LOWEST_PRIORITY} to {HIGHEST_PRIORITY}, instead of the task's: higher ones wait less for limits",
    )  # fmt: skip
    command.add_argument("--ignore-windows", action="store_true", help="move data although the windows are closed")
    command.add_argument(
        "--ttl", metavar="DURATION", type=_ttl,
        help="how long to keep the finished run, such as 24h, or Never (default: the operator's setting)",
    )  # fmt: skip
    _waits(command, "until the run has ended", None)
    command.add_argument(
        "-o", "--output", choices=("text", "json", "name"), default="text",
        help="text (default); json, the run, with --wait as it has ended; name, only the run's name",
    )  # fmt: skip
    _cluster(command)


def _add_approve(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "object", metavar=TASK_OR_RUN, type=_task_or_run, help="the TransferTask whose run waits, or the run"
    )
    how = command.add_mutually_exclusive_group()
    how.add_argument("--plan", metavar="DIGEST", type=_digest, help="approve without a question, if this is its plan")
    how.add_argument("--show", action="store_true", help="only show the plan")
    command.add_argument(
        "-o",
        "--output",
        choices=("text", "json"),
        default="text",
        help="text (default), or json: the plan as in its status",
    )
    _cluster(command)


def _add_cancel(command: argparse.ArgumentParser) -> None:
    command.add_argument("runs", metavar=RUN, nargs="*", default=[], type=_run, help="the TransferRuns")
    command.add_argument("--task", metavar=TASK, type=_task, help="all active runs of this TransferTask")
    _waits(command, "until the runs have ended", None)
    _cluster(command)


def _add_suspend(command: argparse.ArgumentParser) -> None:
    command.add_argument("tasks", metavar=TASK, nargs="*", default=[], type=_task, help="the TransferTasks")
    command.add_argument("--all", action="store_true", help="all tasks of the namespace")
    _cluster(command)


def _add_resume(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "objects", metavar=TASK_OR_RUN, nargs="*", default=[], type=_task_or_run, help="TransferTasks, or runs"
    )
    command.add_argument("--all", action="store_true", help="all tasks of the namespace")
    _cluster(command)


def _add_recheck(command: argparse.ArgumentParser) -> None:
    command.add_argument("objects", metavar=CHECKED, nargs="*", default=[], type=_checked, help="what to check")
    command.add_argument("--all", action="store_true", help="all identities and locations of the namespace")
    _waits(command, "until the checks have ended", RECHECK_TIMEOUT)
    _cluster(command)


def _add_watch(command: argparse.ArgumentParser) -> None:
    command.add_argument("object", metavar=TASK_OR_RUN, type=_task_or_run, help="the TransferTask, or one of its runs")
    command.add_argument(
        "-o", "--output", choices=("text", "json"), default="text",
        help="text (default), or json: every change of the task and its run on stdout, one object per line",
    )  # fmt: skip
    _cluster(command)


def _add_logs(command: argparse.ArgumentParser) -> None:
    command.add_argument("object", metavar=LOGGED, type=_logged, help="whose agents; a name alone is a run or a task")
    command.add_argument("-f", "--follow", action="store_true", help="print further lines until the agents end")
    command.add_argument("--tail", metavar="LINES", type=_lines, help="only the last lines of each pod")
    command.add_argument("--since", metavar="DURATION", type=_duration, help="only lines of this time, such as 5m")
    command.add_argument("--timestamps", action="store_true", help="begin each line with its time")
    _cluster(command)


def _add_debug(command: argparse.ArgumentParser) -> None:
    command.add_argument("what", choices=("bundle",), help="the file with everything")
    command.add_argument("-A", "--all-namespaces", action="store_true", help="of all namespaces")
    command.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="the new file (default: smbferry-debug-TIME.tar.gz)"
    )
    command.add_argument(
        "--operator-namespace", metavar=NAMESPACE, type=_namespace, default="smbferry-system",
        help="namespace of the operator (default: smbferry-system)",
    )  # fmt: skip
    command.add_argument(
        "--tail", metavar="LINES", type=_lines, default=2000, help="the last lines of each log (default: 2000)"
    )
    _cluster(command)


def _cluster(command: argparse.ArgumentParser) -> None:
    command.add_argument("-n", "--namespace", metavar=NAMESPACE, type=_namespace, help="default: the context's")
    command.add_argument("--context", metavar=CONTEXT, help="context of the kubeconfig (default: the current one)")
    command.add_argument(
        "--kubeconfig", metavar="FILE", help="kubeconfig file (default: $KUBECONFIG or ~/.kube/config)"
    )


def _waits(command: argparse.ArgumentParser, until: str, default: timedelta | None) -> None:
    command.add_argument("-w", "--wait", action="store_true", help=f"wait {until}")
    said = "unlimited" if default is None else f"{int(default.total_seconds() // 60)}m"
    command.add_argument(
        "--timeout", metavar="DURATION", type=_duration, default=default,
        help=f"how long --wait waits, such as 2h; then the exit code is 1 (default: {said})",
    )  # fmt: skip


# --- Types -----------------------------------------------------------------------------------------------------------

_task = reference_to(TRANSFER_TASK, bare=TRANSFER_TASK)
_run = reference_to(TRANSFER_RUN, bare=TRANSFER_RUN)
_task_or_run = reference_to(TRANSFER_TASK, TRANSFER_RUN, bare=TRANSFER_TASK)
_checked = reference_to(KERBEROS_IDENTITY, SMB_LOCATION)
_logged = reference_to(TRANSFER_RUN, TRANSFER_TASK, KERBEROS_IDENTITY, SMB_LOCATION, bare=TRANSFER_RUN)


def _namespace(text: str) -> str:
    if not re.fullmatch(_NAMESPACE, text):
        raise argparse.ArgumentTypeError(f"expected a name of lower-case letters, digits and '-', got \"{text}\"")
    return text


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _digest(text: str) -> str:
    if not re.fullmatch(rf"[a-z0-9]{{{DIGEST_LENGTH}}}", text):
        raise argparse.ArgumentTypeError(f'expected the {DIGEST_LENGTH} letters and digits of a plan, got "{text}"')
    return text


def _ttl(text: str) -> str:
    if text != NEVER:
        _duration(text)
    return text


def _priority(text: str) -> int:
    return _number(text, LOWEST_PRIORITY, HIGHEST_PRIORITY)


def _lines(text: str) -> int:
    return _number(text, 0, None)


def _number(text: str, least: int, most: int | None) -> int:
    allowed = f"{least} to {most}" if most is not None else f"{least} or more"
    if not re.fullmatch(r"-?[0-9]{1,9}", text) or int(text) < least or (most is not None and int(text) > most):
        raise argparse.ArgumentTypeError(f'expected a number, {allowed}, got "{text}"')
    return int(text)
