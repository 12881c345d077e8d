"""Reports, and targets that a run may not use."""

from smbferry_words.failure_class import FailureClass
from smbferry_words.reason import define

_CONFIGURATION = FailureClass.CONFIGURATION
_GUARD = FailureClass.GUARD

REPORT_INSIDE_TRANSFER = define(
    "ReportInsideTransfer",
    "The report folder overlaps with the source or the destination.",
    "Set report.path or report.locationRef to a folder outside the source and the destination.",
    _CONFIGURATION,
)
REPORT_NOT_WRITTEN = define(
    "ReportNotWritten",
    "smbferry transferred the files but could not write the report.",
    "Check free space and write access at the SmbLocation named by report.locationRef.",
)
DFS_TARGET_CHANGED = define(
    "DfsTargetChanged",
    "The destination's DFS path leads to a different target than at the last check, so smbferry wrote nothing.",
    "Request a new check of the location. For a DFS link below a location's path, create a separate location.",
    _GUARD,
)
