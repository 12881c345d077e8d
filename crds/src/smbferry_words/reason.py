"""The Reason type and the registry of all reasons."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from smbferry_words.failure_class import FailureClass


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason with its explanation and remedy for a person."""

    name: str
    when: str
    remedy: str = ""
    failure: FailureClass | None = None

    def __str__(self) -> str:
        return self.name


_BY_NAME: Final[dict[str, Reason]] = {}


def define(name: str, when: str, remedy: str = "", failure: FailureClass | None = None) -> Reason:
    """Registers a reason.

    Raises:
        ValueError: the name is already taken.
    """
    if name in _BY_NAME:
        raise ValueError(f"reason {name} is defined twice")
    _BY_NAME[name] = Reason(name, when, remedy, failure)
    return _BY_NAME[name]


def by_name(name: str) -> Reason | None:
    """Returns the reason with that name, or None if a newer version wrote one that is unknown here."""
    return _BY_NAME.get(name)


def all_reasons() -> Iterator[Reason]:
    """Yields every reason, in order of definition."""
    yield from _BY_NAME.values()
