"""The one error that a person sees: what was expected, what was found, what to do."""


class LabError(Exception):
    """The lab can't go on; the message says why and what to do about it."""
