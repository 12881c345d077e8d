"""How an agent ends: failure classes and the process exit codes that a Job's podFailurePolicy maps."""

from enum import IntEnum, StrEnum
from typing import Final


class FailureClass(StrEnum):
    """What kind of thing went wrong; decides whether a retry can help."""

    CONFIGURATION = "Configuration"
    IDENTITY = "Identity"
    POLICY = "Policy"
    ACCESS = "Access"
    GUARD = "Guard"
    NETWORK = "Network"
    CLOCK = "Clock"
    DNS = "Dns"
    DESTINATION_FULL = "DestinationFull"
    CANCELLED = "Cancelled"
    BUG = "Bug"


class ExitCode(IntEnum):
    """The agent's exit codes. 10 to 14 are permanent: the same input would only fail again."""

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
    BUG = 70
    TERMINATED = 143  # 128 + SIGTERM: told to end, by an eviction or a deleted pod, though nobody cancelled the run


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
"""Never retried on their own: a retry storm against these locks accounts out or repeats a refused act."""

RETRYABLE: Final[frozenset[ExitCode]] = frozenset(
    {ExitCode.NETWORK, ExitCode.CLOCK, ExitCode.DNS, ExitCode.DESTINATION_FULL, ExitCode.TERMINATED}
)
