"""What can go wrong towards the API server, in our own words."""


class ClusterError(Exception):
    """The API server could not be asked, or answered with an error."""

    expected = True
    """It speaks for itself: no traceback is logged."""


class UnavailableError(ClusterError):
    """No answer, or one that asks for patience (429, 5xx): to be repeated."""


class NotFoundError(ClusterError):
    """The object, or the kind itself, is not there."""


class TerminatingError(ClusterError):
    """The namespace is being deleted: there is nothing left to do in it."""


class ConflictError(ClusterError):
    """An object is not as it was meant to be: it has changed, or is another one of its name. To be repeated."""


class AlreadyExistsError(ConflictError):
    """An object of this name is there."""


class RefusedError(ClusterError):
    """The object is not acceptable as it stands, or not now."""

    def __init__(self, what: str, message: str, *, permanent: bool = False, room: bool = False) -> None:
        """Makes one.

        Args:
            permanent: the object itself is wrong; it would be refused again.
            room: only a quota is in the way: there will be room when others have ended.
        """
        super().__init__(f"{what}: {message}")
        self.what = what
        self.message = message
        self.permanent = permanent
        self.room = room


class NotLeadingError(ClusterError):
    """This operator may not write (any more): another acts, or soon will."""
