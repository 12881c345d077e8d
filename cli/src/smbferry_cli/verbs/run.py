"""Runs a command for objects in a cluster."""

import argparse
from collections.abc import Callable, Mapping
from typing import Final

from smbferry_api.exit_codes import ExitCode
from smbferry_cli.cluster import Cluster
from smbferry_cli.terminal import reader_may_leave
from smbferry_cli.verbs.approve import approve
from smbferry_cli.verbs.change import cancel, resume, suspend
from smbferry_cli.verbs.debug import debug
from smbferry_cli.verbs.get import get
from smbferry_cli.verbs.logs import logs
from smbferry_cli.verbs.recheck import recheck
from smbferry_cli.verbs.trigger import trigger
from smbferry_cli.verbs.waiting import Clock
from smbferry_cli.watch import watch_in

Verb = Callable[[argparse.Namespace, Cluster, Clock], ExitCode]
VERBS: Final[Mapping[str, Verb]] = {
    "get": get,
    "trigger": trigger,
    "approve": approve,
    "cancel": cancel,
    "suspend": suspend,
    "resume": resume,
    "recheck": recheck,
    "watch": lambda chosen, cluster, clock: watch_in(cluster, chosen, clock.sleep),
    "logs": logs,
    "debug": debug,
}


def run_verb(chosen: argparse.Namespace) -> ExitCode:
    """Runs the chosen command.

    Raises:
        ClusterError: the cluster cannot do what is asked.
    """
    code = ExitCode.DONE  # if the reader closes the pipe
    with Cluster.connect(chosen) as cluster, reader_may_leave():
        code = VERBS[chosen.command](chosen, cluster, Clock())
    return code  # noqa: RET504 (the block may end early)
