"""The transfer engine: trees from one SMB share to another, Kerberos only, encrypted SMB3 only.

It knows nothing of Kubernetes. A caller acquires tickets, describes two endpoints and what is wanted, and is told what
happens by way of an :class:`Observer`.
"""

from smbferry_engine.compare import compare
from smbferry_engine.dfs import Locate, dfs_target
from smbferry_engine.dfs import resolve as resolve_dfs
from smbferry_engine.errors import SERVER_UNREACHABLE, EngineError, FailureClass, FileReason, Reason
from smbferry_engine.filters import Filters
from smbferry_engine.krb5_environment import krb5_environment
from smbferry_engine.model import (
    ByteCounters,
    CompareBy,
    Comparison,
    Counters,
    DeletedFiles,
    DfsTarget,
    Durability,
    Endpoint,
    Evidence,
    FileFailure,
    FileRecord,
    ItemCounters,
    Observer,
    Options,
    Outcome,
    OverwriteMode,
    Phase,
    PhaseState,
    Preservation,
    Result,
    SecurityDescriptors,
    ServerSideCopy,
    ServerSideFact,
    ServerSideState,
    ShareFacts,
    SideName,
    Symlinks,
    SystemFolders,
    TransferMode,
    VerifyMode,
)
from smbferry_engine.probe import probe_share
from smbferry_engine.shard import Cut, Piece, Shard, shards_of
from smbferry_engine.sharded import finish, survey, transfer_shard
from smbferry_engine.times import TOLERATED_SKEW, units_of
from smbferry_engine.transfer import transfer
from smbferry_engine.upload import upload

__all__ = [
    "SERVER_UNREACHABLE",
    "TOLERATED_SKEW",
    "ByteCounters",
    "CompareBy",
    "Comparison",
    "Counters",
    "Cut",
    "DeletedFiles",
    "DfsTarget",
    "Durability",
    "Endpoint",
    "EngineError",
    "Evidence",
    "FailureClass",
    "FileFailure",
    "FileReason",
    "FileRecord",
    "Filters",
    "ItemCounters",
    "Locate",
    "Observer",
    "Options",
    "Outcome",
    "OverwriteMode",
    "Phase",
    "PhaseState",
    "Piece",
    "Preservation",
    "Reason",
    "Result",
    "SecurityDescriptors",
    "ServerSideCopy",
    "ServerSideFact",
    "ServerSideState",
    "Shard",
    "ShareFacts",
    "SideName",
    "Symlinks",
    "SystemFolders",
    "TransferMode",
    "VerifyMode",
    "compare",
    "dfs_target",
    "finish",
    "krb5_environment",
    "probe_share",
    "resolve_dfs",
    "shards_of",
    "survey",
    "transfer",
    "transfer_shard",
    "units_of",
    "upload",
]
