"""What a survey of a source can find, and what the forecast is based on."""

from enum import StrEnum
from typing import Final


class Trait(StrEnum):
    """A property of files or folders that a migration must deal with."""

    DENIED_FOLDER = "DeniedFolder"
    DENIED = "Denied"
    LOCKED = "Locked"
    UNREADABLE = "Unreadable"
    CASE_COLLISION = "CaseCollision"
    REFUSED_NAME = "RefusedName"
    TOO_LONG_PATH = "TooLongPath"
    LONG_PATH = "LongPath"
    FOLDER_LOOP = "FolderLoop"
    SYSTEM_FOLDER = "SystemFolder"
    LINK = "Link"
    HARD_LINK = "HardLink"
    STREAM = "Stream"
    EXTENDED_ATTRIBUTE = "ExtendedAttribute"
    SPARSE = "Sparse"
    COMPRESSED = "Compressed"
    ENCRYPTED = "Encrypted"
    OFFLINE = "Offline"
    LOCAL_SID = "LocalSid"
    FOREIGN_SID = "ForeignSid"


MEANING: Final[dict[Trait, str]] = {
    Trait.DENIED_FOLDER: "Folders that the account may not list. Nothing below them is counted or copied.",
    Trait.DENIED: "Files and folders that the account may not open for reading with their permissions.",
    Trait.LOCKED: "Files that another program holds open without sharing them.",
    Trait.UNREADABLE: "Files and folders that could not be opened or listed for another reason.",
    Trait.CASE_COLLISION: "Names that differ only in case from another name in their folder. Only one is copied.",
    Trait.REFUSED_NAME: "Names that SMB servers and Windows clients do not accept. They are not copied.",
    Trait.TOO_LONG_PATH: "Folders whose path is too long for SMB. Nothing below them is counted or copied.",
    Trait.LONG_PATH: "Paths with more than 259 characters on a drive letter. Many Windows programs can't open them.",
    Trait.FOLDER_LOOP: "Folders that are one of their own parents. They are not copied.",
    Trait.SYSTEM_FOLDER: "Folders that the server keeps for itself, such as $RECYCLE.BIN.",
    Trait.LINK: "Symbolic links, junctions and other reparse points that name something elsewhere.",
    Trait.HARD_LINK: "Files with more than one name. Without hardLinks: Preserve, each is copied as a file of its own.",
    Trait.STREAM: "Files and folders with alternate data streams. Some destinations do not support them.",
    Trait.EXTENDED_ATTRIBUTE: "Files and folders with extended attributes. Some destinations do not support them.",
    Trait.SPARSE: "Sparse files. They can take more space at a destination that does not support them.",
    Trait.COMPRESSED: "Files and folders that the server compresses. They can take more space at the destination.",
    Trait.ENCRYPTED: "Files that are encrypted with EFS. The server decrypts them only for their users.",
    Trait.OFFLINE: "Files whose content is on another tier or in a cloud. Copying them recalls their content.",
    Trait.LOCAL_SID: "Files and folders whose owner or access list names Unix accounts of the source's server.",
    Trait.FOREIGN_SID: "Files and folders whose owner or access list names accounts of another domain, or of one "
    "server, than that of the destination's account. The destination may not know them.",
}
"""What each trait means for a migration, in one or two sentences."""


class Basis(StrEnum):
    """What was measured for a forecast."""

    READ = "Read"
    COPY = "Copy"
