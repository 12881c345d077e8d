"""Folders that servers keep for themselves: copies are useless elsewhere, and nobody may delete them."""

from typing import Final

from smbferry_engine.paths import SEPARATOR, case_key, split
from smbferry_engine.plan.filters import Filters
from smbferry_engine.wire.attributes import DIRECTORY
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_words.options import SystemFolders

# At the root of a volume, and so of a share of it.
_AT_ROOT: Final = frozenset(
    case_key(name)
    for name in (
        "$RECYCLE.BIN",  # Windows: what users deleted, by their SIDs
        "RECYCLER",  # the same before Vista
        "System Volume Information",  # Windows: shadow copies, deduplication's chunks, quotas, indexes
        "DfsrPrivate",  # DFS Replication: staging and conflicts, at the root of a replicated folder
        ".SystemShareInformation",  # Azure File Sync, at the root of an Azure file share
        ".snapshot",  # OneFS and NFS exports of ONTAP: snapshots
        ".ifsvar",  # OneFS: the cluster's own files, at the root of /ifs
    )
)
# ONTAP shows its snapshots in every folder of a share that has the property showsnapshot.
_ANYWHERE: Final = frozenset({case_key("~snapshot")})


def is_system_folder(path: str, entry: DirectoryEntry, root: str, filters: Filters, system: SystemFolders) -> bool:
    """Return whether the entry at ``path`` is a server's own folder that the options leave out.

    ``root`` is the transfer's folder in its share: most of these names mean that only at the share's root. An include
    that names the folder lets it in.
    """
    if not entry.attributes & DIRECTORY or system is SystemFolders.COPY:
        return False
    name = case_key(split(path)[1])
    if name not in _ANYWHERE and not (name in _AT_ROOT and not root and SEPARATOR not in path):
        return False
    return not filters.names(path)
