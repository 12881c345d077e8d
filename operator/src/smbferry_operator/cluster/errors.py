"""Errors of requests to the API server."""


class ClusterError(Exception):
    """The API server could not be reached, or answered with an error."""

    expected = True
    """Logged without a traceback."""


class UnavailableError(ClusterError):
    """No answer, or one that asks to retry (429, 5xx)."""


class NotFoundError(ClusterError):
    """The object, or the kind itself, does not exist."""


class TerminatingError(ClusterError):
    """The namespace is being deleted; nothing can be created in it."""


class ConflictError(ClusterError):
    """The object has changed, or another object has its name: retry."""


class AlreadyExistsError(ConflictError):
    """An object of this name exists."""


class RefusedError(ClusterError):
    """The object is not accepted, or not now."""

    def __init__(self, what: str, message: str, *, permanent: bool = False, room: bool = False) -> None:
        """Creates the error.

        Args:
            permanent: the object itself is invalid and would be refused again.
            room: only a quota blocks it; there is room when other objects are deleted.
        """
        super().__init__(f"{what}: {message}")
        self.what = what
        self.message = message
        self.permanent = permanent
        self.room = room


class PolicyRefusedError(RefusedError):
    """A ValidatingAdmissionPolicy does not accept the object."""


class NotLeadingError(ClusterError):
    """This operator does not lead, so it must not write."""
