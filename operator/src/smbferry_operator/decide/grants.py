"""What the owner of SmbLocations allows another namespace."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grant:
    """What the locations of a task's other namespace allow the task's namespace."""

    namespace: str
    """Where the locations are."""
    refused: tuple[str, ...] = ()
    """The locations that do not exist or do not allow what the task wants, for messages."""
    details: bool = False
    """Whether all locations let it see messages and names."""
