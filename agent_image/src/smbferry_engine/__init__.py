"""The transfer engine: trees from one SMB share to another, Kerberos only, encrypted SMB3 only.

It is independent of Kubernetes. A caller acquires tickets and passes two endpoints, options and an :class:`Observer`,
which receives the progress.
"""

from smbferry_engine.errors import EngineError, FileReason
from smbferry_engine.model import (
    ByteCounters,
    ChosenSnapshot,
    Comparison,
    Counters,
    DfsTarget,
    Endpoint,
    Evidence,
    FileFailure,
    FileRecord,
    ItemCounters,
    NotCarried,
    Observer,
    Options,
    Politeness,
    PolitenessFact,
    Result,
    RetryFact,
    RetryLocked,
    Selection,
    ServerSideFact,
    ShareFacts,
    SidCount,
    SideName,
    SidFacts,
)
from smbferry_engine.operations.compare import compare
from smbferry_engine.operations.control import Control
from smbferry_engine.operations.plan import Outline, PlannedAmount, outline
from smbferry_engine.operations.probe import probe_share
from smbferry_engine.operations.sharded import finish, survey, transfer_shard
from smbferry_engine.operations.snapshot import choose_snapshot
from smbferry_engine.operations.survey import survey_source
from smbferry_engine.operations.transfer import transfer
from smbferry_engine.operations.upload import upload
from smbferry_engine.plan.filters import Filters
from smbferry_engine.plan.shard import Cut, Piece, Shard, shards_of
from smbferry_engine.plan.survey import Amount, Finding, Forecast, Survey
from smbferry_engine.run.resume import Handover
from smbferry_engine.session.dfs import Locate, dfs_target
from smbferry_engine.session.dfs import resolve as resolve_dfs
from smbferry_engine.session.krb5_environment import krb5_environment
from smbferry_engine.sids import SidMap
from smbferry_engine.times import TOLERATED_SKEW, to_filetime, units_of
from smbferry_engine.tree.approval import Approved
from smbferry_words.failure_class import FailureClass
from smbferry_words.options import (
    CompareBy,
    DeletedFiles,
    Durability,
    ExtendedAttributes,
    FileAttribute,
    HardLinks,
    Links,
    OverwriteMode,
    Preservation,
    SecurityDescriptors,
    ServerSideCopy,
    SnapshotUse,
    Streams,
    SystemFolders,
    TransferMode,
    VerifyMode,
)
from smbferry_words.run import NotCarriedKind, Outcome, PhaseName, PhaseState, ServerSideState

__all__ = [
    "TOLERATED_SKEW",
    "Amount",
    "Approved",
    "ByteCounters",
    "ChosenSnapshot",
    "CompareBy",
    "Comparison",
    "Control",
    "Counters",
    "Cut",
    "DeletedFiles",
    "DfsTarget",
    "Durability",
    "Endpoint",
    "EngineError",
    "Evidence",
    "ExtendedAttributes",
    "FailureClass",
    "FileAttribute",
    "FileFailure",
    "FileReason",
    "FileRecord",
    "Filters",
    "Finding",
    "Forecast",
    "Handover",
    "HardLinks",
    "ItemCounters",
    "Links",
    "Locate",
    "NotCarried",
    "NotCarriedKind",
    "Observer",
    "Options",
    "Outcome",
    "Outline",
    "OverwriteMode",
    "PhaseName",
    "PhaseState",
    "Piece",
    "PlannedAmount",
    "Politeness",
    "PolitenessFact",
    "Preservation",
    "Result",
    "RetryFact",
    "RetryLocked",
    "SecurityDescriptors",
    "Selection",
    "ServerSideCopy",
    "ServerSideFact",
    "ServerSideState",
    "Shard",
    "ShareFacts",
    "SidCount",
    "SidFacts",
    "SidMap",
    "SideName",
    "SnapshotUse",
    "Streams",
    "Survey",
    "SystemFolders",
    "TransferMode",
    "VerifyMode",
    "choose_snapshot",
    "compare",
    "dfs_target",
    "finish",
    "krb5_environment",
    "outline",
    "probe_share",
    "resolve_dfs",
    "shards_of",
    "survey",
    "survey_source",
    "to_filetime",
    "transfer",
    "transfer_shard",
    "units_of",
    "upload",
]
