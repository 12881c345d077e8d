"""Azure Files over SMB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.fake_server.personality import INVALID_INFO_CLASS, Personality

from smbferry_engine.wire.ioctl import FSCTL_QUERY_ALLOCATED_RANGES, FSCTL_SET_SPARSE
from smbferry_engine.wire.status import NtStatus

if TYPE_CHECKING:
    from lab.fake_server.nodes import Node

_PLAIN = 1


class AzureFiles(Personality):
    """A share of a storage account.

    "Features not supported by Azure Files": sparse files, alternate data streams, extended attributes, reparse points,
    hard links and object ids are not there, so the controls of sparse files are refused (MS-FSCC 2.3.63: a file system
    without them answers STATUS_INVALID_DEVICE_REQUEST). MS-SMB2 3.3.5.18 lets a server refuse a class of listing; which
    ones this product lacks is not published: the one that no other client asks for is taken to be missing.
    """

    def judge_hard_link(self, node: Node) -> int:
        """MS-FSA 2.1.5.15.6: a volume without hard links answers STATUS_NOT_SUPPORTED."""
        return NtStatus.NOT_SUPPORTED

    missing_controls = frozenset({FSCTL_SET_SPARSE, FSCTL_QUERY_ALLOCATED_RANGES})
    missing_control_status = NtStatus.INVALID_DEVICE_REQUEST
    missing_listing_classes = frozenset({_PLAIN})
    missing_listing_status = INVALID_INFO_CLASS
    # "Azure Files scale targets": the share's provisioned size is its quota; a write beyond it fails as on a full disk.
    quota_status = NtStatus.DISK_FULL
