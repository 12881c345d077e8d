"""How a command ends, in the agent's own exit codes. Pure."""

from collections.abc import Iterable
from typing import Final

from smbferry_api.conditions import ConditionType
from smbferry_api.exit_codes import EXIT_CODE_OF, ExitCode, FailureClass
from smbferry_api.reasons import by_name
from smbferry_api.run_status import RunState, TransferRunStatus

_STATE_OF: Final = {
    ExitCode.DONE: RunState.SUCCEEDED,
    ExitCode.DONE_WITH_FAILURES: RunState.PARTIALLY_SUCCEEDED,
    ExitCode.CANCELLED: RunState.CANCELLED,
}


class ClusterError(Exception):
    """A cluster that can't be read: what was expected, what was found, what to do."""

    def __init__(self, message: str, exit_code: ExitCode) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def most_severe(codes: Iterable[ExitCode]) -> ExitCode:
    """A bug before everything, then what only a person can mend (10 to 14), then what may pass (20 to 30)."""
    failures = [code for code in codes if code is not ExitCode.DONE]
    return min(failures, key=lambda code: (code is not ExitCode.BUG, code), default=ExitCode.DONE)


def state_of(code: ExitCode) -> RunState:
    """The state of a run that ended so."""
    return _STATE_OF.get(code, RunState.FAILED)


def code_of_reason(name: str) -> ExitCode:
    """That of a reason's failure class; of a word that only a newer smbferry knows, one that calls for a person."""
    reason = by_name(name)
    return EXIT_CODE_OF[reason.failure] if reason and reason.failure else ExitCode.CONFIGURATION


def code_of(status: TransferRunStatus) -> ExitCode:
    """The exit code of a run that has ended in a cluster: what `smbferry run` would have ended with."""
    for code, state in _STATE_OF.items():
        if status.state is state:
            return code
    if status.failure and status.failure.class_ in list(FailureClass):
        return EXIT_CODE_OF[FailureClass(status.failure.class_)]
    told = (c.reason for c in status.conditions if c.type == ConditionType.SUCCEEDED)
    return code_of_reason(next(told, ""))
