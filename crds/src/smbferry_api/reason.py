"""What a reason is, and the list of all."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from smbferry_api.exit_codes import FailureClass


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason word with what a person needs to know of it."""

    name: str
    when: str
    remedy: str = ""
    failure: FailureClass | None = None

    def __str__(self) -> str:
        return self.name


_BY_NAME: Final[dict[str, Reason]] = {}


def define(name: str, when: str, remedy: str = "", failure: FailureClass | None = None) -> Reason:
    """A new reason.

    Raises:
        ValueError: there is one of that name.
    """
    if name in _BY_NAME:
        raise ValueError(f"reason {name} is defined twice")
    _BY_NAME[name] = Reason(name, when, remedy, failure)
    return _BY_NAME[name]


def by_name(name: str) -> Reason | None:
    """The reason of that name, or None where a newer writer used a word we do not know."""
    return _BY_NAME.get(name)


def all_reasons() -> Iterator[Reason]:
    """Every reason, in the order of this file."""
    yield from _BY_NAME.values()
