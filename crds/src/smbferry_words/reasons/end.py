"""How a transfer ends early, whatever it was doing."""

from smbferry_words.failure_class import FailureClass
from smbferry_words.reason import define

RUN_CANCELLED = define(
    "RunCancelled", "The run was cancelled.", "Change spec.trigger to start another run.", FailureClass.CANCELLED
)
INTERNAL_ERROR = define(
    "InternalError", "smbferry failed because of a bug.", "Report it with the agent's log.", FailureClass.BUG
)
