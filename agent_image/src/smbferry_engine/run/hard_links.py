"""Which files with several names a run has copied, so that their other names become names of the copy."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from smbferry_engine.errors import FileError
from smbferry_engine.plan.attachments import Lost
from smbferry_engine.runtime.tasks import Signal

MOST_FILES: Final = 100_000
"""Further ones are copied name by name, so that memory is bounded."""


class Version(NamedTuple):
    """What all names of a file have in common at one time: size in bytes, times as FILETIME.

    The creation time is not part of it: servers that store none derive it from other times, such as the last access.
    """

    size: int
    write_time: int
    change_time: int


class Original(NamedTuple):
    """The copy under the first name of a file: its path, the version that was copied, the BLAKE3 of its content (empty
    for a large file), and what it lacks.
    """

    path: str
    version: Version
    digest: bytes
    incomplete: FileError | None = None
    lost: tuple[Lost, ...] = ()


@dataclass(slots=True)
class _File:
    """A file of the source: how many names it has, how many of them were copied, and the first ``path``."""

    names: int
    path: str
    copied: int = 0
    original: Original | None = None
    waiting: list[Signal[None]] = field(default_factory=list)


class HardLinkTable:
    """The files of a run that have several names, by their number at the source (FileInternalInformation)."""

    def __init__(self) -> None:
        self._files: dict[int, _File] = {}

    def has_room(self, number: int) -> bool:
        """Return whether a file may be claimed."""
        return number in self._files or len(self._files) < MOST_FILES

    async def claim(self, number: int, names: int, path: str) -> Original | None:
        """Return the copy of the file, waiting while another name of it is copied; None if there is none.

        Then the caller copies it, and must :meth:`settle` or :meth:`release` it.
        """
        file = self._files.get(number)
        while file is not None and file.original is None:
            turn: Signal[None] = Signal()
            file.waiting.append(turn)
            await turn
            file = self._files.get(number)
        if file is None:
            self._files[number] = _File(names, path)
            return None
        return file.original

    def settle(self, number: int, original: Original) -> None:
        """Note the copy of a claimed file."""
        file = self._files[number]
        file.original = original
        file.copied += 1
        self._wake(file)

    def release(self, number: int) -> None:
        """Give up a claimed file that could not be copied: whoever waits for it copies it under its own name."""
        self._wake(self._files.pop(number))

    def linked(self, number: int) -> None:
        """Count one more name of a copied file."""
        self._files[number].copied += 1

    def without_all_names(self) -> Iterator[tuple[str, int, int]]:
        """Yield the first path of each file of which not all names were copied, the number of names, and of copied
        ones.
        """
        for file in self._files.values():
            if file.copied < file.names:
                yield file.path, file.names, file.copied

    @staticmethod
    def _wake(file: _File) -> None:
        waiting, file.waiting = file.waiting, []
        for turn in waiting:
            turn.resolve(None)
