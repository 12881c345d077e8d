"""What a walk finds: folders, and files to copy."""

from dataclasses import dataclass, field
from typing import NamedTuple

from smbferry_engine.errors import FileError
from smbferry_engine.model import ItemKind
from smbferry_engine.plan.attachments import NO_ATTACHMENTS, Attachments
from smbferry_engine.plan.decide import Action
from smbferry_engine.tree.extras import Extra
from smbferry_engine.wire.attributes import DIRECTORY
from smbferry_engine.wire.directory import DirectoryEntry


def kind_of(entry: DirectoryEntry | Extra) -> ItemKind:
    """Return the kind of an entry, as reports and failures name it."""
    return "Directory" if entry.attributes & DIRECTORY else "File"


@dataclass(slots=True)
class FolderSecurity:
    """The raw security descriptors of a listed folder, if descriptors are copied, and the attachments of both sides, if
    they are, None if they did not fit into the listing; ``refusal``: why something is missing.
    """

    source: bytes | None = None
    destination: bytes | None = None
    refusal: FileError | None = None
    attachments: Attachments | None = NO_ATTACHMENTS
    attachments_there: Attachments | None = NO_ATTACHMENTS


@dataclass(slots=True)
class Folder:
    """A folder that is walked.

    ``source`` is None where only the destination has it, ``destination`` where only the source does; ``parent`` is None
    for the root. ``ancestors`` are the file ids of those above it. ``settles`` is False if the folder's metadata is not
    set: it only leads to something included, or could not be listed. ``replaced``: it is deleted before the source's
    file of the same name is copied. ``pending`` counts what must be done before its metadata is set: its listing and
    each entry. ``dirty``: something in it was written, which changed its times.
    """

    path: str
    parent: "Folder | None"
    source: DirectoryEntry | None
    destination: DirectoryEntry | None
    ancestors: frozenset[int]
    settles: bool = True
    replaced: bool = False
    pending: int = 1
    dirty: bool = False
    security: FolderSecurity = field(default_factory=FolderSecurity)

    @property
    def is_new(self) -> bool:
        """True if the destination does not have it yet."""
        return self.parent is not None and self.destination is None

    @property
    def only_destination(self) -> bool:
        """True if only the destination has it."""
        return self.parent is not None and self.source is None


@dataclass(frozen=True, slots=True)
class FileItem:
    """A file that is to be compared or copied.

    ``part``: half-open byte range (start, end), if only these bytes are to be gathered.
    """

    folder: Folder
    path: str
    source: DirectoryEntry
    destination: DirectoryEntry | None
    action: Action
    part: tuple[int, int] | None = None


class LinkItem(NamedTuple):
    """A link of the source that is copied as a link; ``destination`` is its counterpart, which is a link of a
    file or of a folder like it, or None.
    """

    folder: Folder
    path: str
    source: DirectoryEntry
    destination: DirectoryEntry | None
