"""The one exception that ends an agent with a reason; everything foreign is converted to it at its boundary."""

from smbferry_api.exit_codes import EXIT_CODE_OF, ExitCode, FailureClass
from smbferry_api.reasons import Reason


class AgentError(Exception):
    """Something that a person must hear of: what was expected, what was found; the remedy comes from the reason."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message

    @property
    def failure_class(self) -> FailureClass:
        """The reason's class; a reason without one is no way to fail, so it is a bug to raise it."""
        return self.reason.failure or FailureClass.BUG

    @property
    def exit_code(self) -> ExitCode:
        """How the process ends by this error."""
        return EXIT_CODE_OF[self.failure_class]


class Terminated(BaseException):
    """SIGTERM, though nobody cancelled anything. Not an Exception: nothing on the way may take it for its own."""
