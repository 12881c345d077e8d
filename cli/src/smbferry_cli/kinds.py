"""The words by which commands name kinds and objects: `tasks`, `xfer`, `nightly`, `identity/svc-src`. Pure."""

import re
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from smbferry_api.crd import KERBEROS_IDENTITY, SMB_LOCATION, TRANSFER_RUN, TRANSFER_TASK, Kind
from smbferry_api.explain import did_you_mean
from smbferry_api.fields import OBJECT_NAME_PATTERN
from smbferry_api.names import GROUP

SHORT: Final = {"task": TRANSFER_TASK, "run": TRANSFER_RUN, "identity": KERBEROS_IDENTITY, "location": SMB_LOCATION}
"""The words of this command for each kind; kubectl's are accepted as well."""
PLURAL: Final = {"tasks": TRANSFER_TASK, "runs": TRANSFER_RUN, "identities": KERBEROS_IDENTITY,
                 "locations": SMB_LOCATION}  # fmt: skip
ALL: Final = "all"
_WORDS: Final = {**SHORT, **PLURAL} | {
    word: kind for kind in SHORT.values() for word in (kind.singular, kind.plural, kind.short_name)
}


def short(kind: Kind) -> str:
    """Returns this command's word for the kind: `task`."""
    return next(word for word, known in SHORT.items() if known is kind)


def plural(kind: Kind) -> str:
    """Returns this command's word for several objects of the kind: `tasks`."""
    return next(word for word, known in PLURAL.items() if known is kind)


@dataclass(frozen=True, slots=True)
class Reference:
    """One object of a namespace."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        """Returns the object as kubectl prints it, `transferrun.smbferry.io/nightly-7`, which commands accept."""
        return f"{self.kind.singular}.{GROUP}/{self.name}"

    @property
    def typed(self) -> str:
        """The object as a person would type it: `run/nightly-7`."""
        return f"{short(self.kind)}/{self.name}"


@dataclass(frozen=True, slots=True)
class Requested:
    """Kinds, and the names that were given with them."""

    kinds: tuple[Kind, ...]
    names: tuple[str, ...] = ()


def requested(text: str) -> Requested:
    """Parses `tasks`, `all` or `task/nightly`: the type of an argument.

    Raises:
        ArgumentTypeError: it is none of these.
    """
    word, slash, name = text.partition("/")
    if text == ALL:
        return Requested(tuple(PLURAL.values()))
    try:
        kind = kind_of(word)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    return Requested((kind,), (object_name(name),) if slash else ())


def kind_of(word: str) -> Kind:
    """Returns the kind of a word, such as task, tasks, transfertask, xfer or transfertasks.smbferry.io.

    Raises:
        ValueError: no kind has that name.
    """
    bare = word.lower().removesuffix(f".{GROUP}")
    if bare not in _WORDS:
        raise ValueError(f'expected {_either([*PLURAL, ALL])}, got "{word}"{did_you_mean(bare, [*PLURAL, *_WORDS])}')
    return _WORDS[bare]


def reference_to(*kinds: Kind, bare: Kind | None = None) -> Callable[[str], Reference]:
    """Returns a type of arguments: an object of one of the kinds.

    Args:
        bare: the kind of a name without one.
    """

    def parse(text: str) -> Reference:
        word, slash, name = text.rpartition("/")
        expected = _either(([] if bare is None else ["NAME"]) + [f"{short(kind)}/NAME" for kind in kinds])
        if not slash and bare is None:
            raise ArgumentTypeError(f'expected {expected}, got "{text}"')
        try:
            kind = kind_of(word) if slash else bare
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from None
        if kind not in kinds or kind is None:
            raise ArgumentTypeError(f'expected {expected}, got "{text}"')
        return Reference(kind, object_name(name))

    return parse


def object_name(text: str) -> str:
    """Returns the name of an object: the type of an argument.

    Raises:
        ArgumentTypeError: no object can have it.
    """
    if not re.fullmatch(OBJECT_NAME_PATTERN, text):
        raise ArgumentTypeError(f"expected a name of lower-case letters, digits, '-' and '.', got \"{text}\"")
    return text


def _either(words: Iterable[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last
