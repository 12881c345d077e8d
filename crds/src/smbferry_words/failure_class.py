"""Classes of failures."""

from enum import StrEnum


class FailureClass(StrEnum):
    """The class of a failure; determines whether a retry can help."""

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
