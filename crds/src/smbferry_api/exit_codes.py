"""Failure classes and the agent's exit codes, which a Job's podFailurePolicy maps."""

from enum import IntEnum
from typing import Final

from smbferry_words.failure_class import FailureClass


class ExitCode(IntEnum):
    """The agent's exit codes. 10 to 14 are permanent: a retry with the same input would fail again."""

    DONE = 0
    DONE_WITH_FAILURES = 3
    CONFIGURATION = 10
    IDENTITY = 11
    POLICY = 12
    ACCESS = 13
    GUARD = 14
    NETWORK = 20
    CLOCK = 21
    DNS = 22
    DESTINATION_FULL = 30
    CANCELLED = 40
    PAUSED = 41  # stopped by the task's windows: the operator starts another agent when they open
    AWAITS_APPROVAL = 42  # it has planned: the operator starts another agent when a person has approved the plan
    BUG = 70
    TERMINATED = 143  # 128 + SIGTERM: stopped by an eviction or a deleted pod, not by a cancelled run


EXIT_CODE_OF: Final[dict[FailureClass, ExitCode]] = {
    FailureClass.CONFIGURATION: ExitCode.CONFIGURATION,
    FailureClass.IDENTITY: ExitCode.IDENTITY,
    FailureClass.POLICY: ExitCode.POLICY,
    FailureClass.ACCESS: ExitCode.ACCESS,
    FailureClass.GUARD: ExitCode.GUARD,
    FailureClass.NETWORK: ExitCode.NETWORK,
    FailureClass.CLOCK: ExitCode.CLOCK,
    FailureClass.DNS: ExitCode.DNS,
    FailureClass.DESTINATION_FULL: ExitCode.DESTINATION_FULL,
    FailureClass.CANCELLED: ExitCode.CANCELLED,
    FailureClass.BUG: ExitCode.BUG,
}

PERMANENT: Final[frozenset[ExitCode]] = frozenset(
    {ExitCode.CONFIGURATION, ExitCode.IDENTITY, ExitCode.POLICY, ExitCode.ACCESS, ExitCode.GUARD}
)
"""Never retried automatically: retries would lock out accounts or repeat refused operations."""

RETRYABLE: Final[frozenset[ExitCode]] = frozenset(
    {ExitCode.NETWORK, ExitCode.CLOCK, ExitCode.DNS, ExitCode.DESTINATION_FULL, ExitCode.TERMINATED}
)
