"""The error type for messages to the user: what was expected, what was found, what to do."""


class LabError(Exception):
    """The lab cannot continue; the message says why and what to do."""
