"""The exception that ends an agent with a reason. Errors of libraries are converted to it where they occur."""

from smbferry_api.exit_codes import EXIT_CODE_OF, ExitCode
from smbferry_api.reasons import Reason
from smbferry_words.failure_class import FailureClass


class AgentError(Exception):
    """A failure with a reason and a message: what was expected, what was got. The remedy comes from the reason."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message

    @property
    def failure_class(self) -> FailureClass:
        """The reason's class. Raising a reason without a class is a bug."""
        return self.reason.failure or FailureClass.BUG

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the process for this error."""
        return EXIT_CODE_OF[self.failure_class]


class Paused(BaseException):
    """The end of a window. Not an Exception, so that no handler on the way catches it."""


class Terminated(BaseException):
    """SIGTERM without a cancellation. Not an Exception, so that no handler on the way catches it."""
