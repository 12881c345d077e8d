"""Exit codes of the commands, the same as the agent's. Pure."""

from collections.abc import Iterable
from typing import Final

from smbferry_api.conditions import ConditionType
from smbferry_api.exit_codes import EXIT_CODE_OF, ExitCode
from smbferry_api.reasons import by_name
from smbferry_api.run_status import RunState, TransferRunStatus
from smbferry_words.failure_class import FailureClass

_STATE_OF: Final = {
    ExitCode.DONE: RunState.SUCCEEDED,
    ExitCode.DONE_WITH_FAILURES: RunState.PARTIALLY_SUCCEEDED,
    ExitCode.CANCELLED: RunState.CANCELLED,
}


TIMED_OUT: Final = 1
"""The command waited for something in the cluster until its --timeout. Agents have no such code."""


class ClusterError(Exception):
    """The cluster cannot do what is asked; the message says what was expected, what was found and what to do."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def most_severe(codes: Iterable[ExitCode]) -> ExitCode:
    """Returns the most severe code: a bug first, then permanent failures (10 to 14), then temporary ones (20 to 30)."""
    failures = [code for code in codes if code is not ExitCode.DONE]
    return min(failures, key=lambda code: (code is not ExitCode.BUG, code), default=ExitCode.DONE)


def state_of(code: ExitCode) -> RunState:
    """Returns the state of a run that ended with this code."""
    return _STATE_OF.get(code, RunState.FAILED)


def code_of_reason(name: str) -> ExitCode:
    """Returns the code of the reason's failure class; for an unknown reason, a code for a permanent failure."""
    reason = by_name(name)
    return EXIT_CODE_OF[reason.failure] if reason and reason.failure else ExitCode.CONFIGURATION


def code_of(status: TransferRunStatus) -> ExitCode:
    """Returns the exit code for a finished run in a cluster, the same as for `smbferry run`."""
    for code, state in _STATE_OF.items():
        if status.state is state:
            return code
    if status.failure and status.failure.class_ in list(FailureClass):
        return EXIT_CODE_OF[FailureClass(status.failure.class_)]
    told = (c.reason for c in status.conditions if c.type == ConditionType.SUCCEEDED)
    return code_of_reason(next(told, ""))
