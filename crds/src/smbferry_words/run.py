"""Phases, states and outcomes of a run."""

from enum import StrEnum
from typing import Final


class Outcome(StrEnum):
    """How a run ends that was not stopped."""

    SUCCEEDED = "Succeeded"
    PARTIALLY_SUCCEEDED = "PartiallySucceeded"


class PhaseName(StrEnum):
    """The phases of a run, in order."""

    PREFLIGHT = "preflight"
    PREPARE = "prepare"
    TRANSFER = "transfer"
    VERIFY = "verify"
    DELETE = "delete"


class PhaseState(StrEnum):
    """State of a phase."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SKIPPED = "Skipped"


class ServerSideState(StrEnum):
    """Whether the server copies large files itself."""

    READY = "Ready"
    OFF = "Off"
    NOT_POSSIBLE = "NotPossible"
    REFUSED = "Refused"


class NotCarriedKind(StrEnum):
    """What a run can leave behind although the file or folder that it belongs to was reached."""

    STREAM = "Stream"
    EXTENDED_ATTRIBUTE = "ExtendedAttribute"
    LINK = "Link"
    HARD_LINK = "HardLink"
    SYSTEM_FOLDER = "SystemFolder"
    UNRESOLVED_SID = "UnresolvedSid"
    LOCAL_SID = "LocalSid"
    COMPRESSION = "Compression"
    INTEGRITY = "Integrity"


COUNTED_SEPARATELY: Final = frozenset({NotCarriedKind.LINK, NotCarriedKind.SYSTEM_FOLDER})
"""Kinds that the counters of files and directories have, too."""

SEEN_BY_EVERY_WALK: Final = COUNTED_SEPARATELY | {NotCarriedKind.STREAM, NotCarriedKind.EXTENDED_ATTRIBUTE}
"""Kinds that are reported again by the last agent of a run by several agents: its walk sees them or their marks."""
