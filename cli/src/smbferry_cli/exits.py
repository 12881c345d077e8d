"""How a command ends, in the agent's own exit codes. Pure."""

from collections.abc import Iterable

from smbferry_api.exit_codes import ExitCode
from smbferry_api.run_status import RunState


def most_severe(codes: Iterable[ExitCode]) -> ExitCode:
    """A bug before everything, then what only a person can mend (10 to 14), then what may pass (20 to 30)."""
    failures = [code for code in codes if code is not ExitCode.DONE]
    return min(failures, key=lambda code: (code is not ExitCode.BUG, code), default=ExitCode.DONE)


def state_of(code: ExitCode) -> RunState:
    """The state of a run that ended so."""
    ends = {
        ExitCode.DONE: RunState.SUCCEEDED,
        ExitCode.DONE_WITH_FAILURES: RunState.PARTIALLY_SUCCEEDED,
        ExitCode.CANCELLED: RunState.CANCELLED,
    }
    return ends.get(code, RunState.FAILED)
