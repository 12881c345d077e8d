"""Reads and writes symbolic links and junctions as what they are; they are never followed."""

from typing import Final, NamedTuple

from smbferry_engine.core.calls import (
    Reply,
    Request,
    close_request,
    ioctl_request,
    query_security_request,
)
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.share.access import DESCRIPTOR_LIMIT
from smbferry_engine.share.replies import check, status_error
from smbferry_engine.share.share import Share
from smbferry_engine.wire.attributes import DIRECTORY
from smbferry_engine.wire.create import Access, CreateOption
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.header import RELATED_FILE_ID
from smbferry_engine.wire.info import OWNER_AND_GROUP, decode_query
from smbferry_engine.wire.reparse import (
    FSCTL_GET_REPARSE_POINT,
    FSCTL_SET_REPARSE_POINT,
    MAX_REPARSE_DATA,
    SYMLINK,
    Link,
    decode_get_reparse_point,
    encode_link,
)
from smbferry_engine.wire.status import NtStatus, status_name

_READ: Final = int(Access.READ_ATTRIBUTES | Access.SYNCHRONIZE)
_VOLUME: Final = "\\??\\volume{"
# A server without reparse points; Samba before 4.18 answers NOT_A_REPARSE_POINT (vfswrap_fsctl).
_NO_LINKS_HERE: Final = frozenset(
    {
        NtStatus.NOT_SUPPORTED,
        NtStatus.NOT_IMPLEMENTED,
        NtStatus.INVALID_DEVICE_REQUEST,
        NtStatus.NOT_A_REPARSE_POINT,
        NtStatus.FS_DRIVER_REQUIRED,
    }
)
_NOT_PERMITTED: Final = frozenset({NtStatus.ACCESS_DENIED, NtStatus.PRIVILEGE_NOT_HELD})


class LinkNotCarriedError(FileError):
    """A link that can't be copied as what it is; ``never`` if that is true of every link to this server."""

    def __init__(self, message: str, *, status: int = 0, never: bool = False) -> None:
        super().__init__(FileReason.REPARSE_POINT_SKIPPED, message, status=status)
        self.never = never


class FoundLink(NamedTuple):
    """A link, and its raw security descriptor if that was asked for."""

    link: Link
    descriptor: bytes | None


def kind_option(attributes: int) -> int:
    """Return the CreateOption (2.2.13) for the kind of a link with these attributes."""
    return int(CreateOption.DIRECTORY_FILE if attributes & DIRECTORY else CreateOption.NON_DIRECTORY_FILE)


def get_request(file_id: bytes = RELATED_FILE_ID) -> Request:
    """IOCTL that reads a link."""
    return ioctl_request(file_id, FSCTL_GET_REPARSE_POINT, b"", MAX_REPARSE_DATA)


def set_request(link: Link, file_id: bytes = RELATED_FILE_ID) -> Request:
    """IOCTL that makes an open file or empty folder a link, or changes a link of the same kind."""
    return ioctl_request(file_id, FSCTL_SET_REPARSE_POINT, encode_link(link), 0)


async def read_link(share: Share, path: str, attributes: int, *, access: int = 0, parts: int = 0) -> FoundLink:
    """Read a link; ``access`` and ``parts`` ask for its security descriptor, too.

    Raises:
        LinkNotCarriedError: the server does not return it, or it is malformed or leads to a volume of its server.
        FileError: any other refusal.
    """
    security = [query_security_request(parts | OWNER_AND_GROUP, DESCRIPTOR_LIMIT)] if parts else []
    opened, got, *described, _ = await share.session.call(
        share.open(path, access=_READ | access, options=kind_option(attributes)),
        get_request(),
        *security,
        close_request(),
    )
    check(opened, "opening the link")
    if got.status in _NO_LINKS_HERE:
        raise LinkNotCarriedError(f"reading the link: the server does not return it ({status_name(got.status)})")
    try:
        link = decode_get_reparse_point(check(got, "reading the link").message)
    except WireError as error:
        raise LinkNotCarriedError(f"reading the link: {error}") from error
    if link.target.lower().startswith(_VOLUME):
        raise LinkNotCarriedError("it is the mount point of a volume, which only its own server has")
    descriptor = None
    for reply in described:
        raw = bytes(decode_query(check(reply, "reading the link's security descriptor").message))
        descriptor = share.translated(path, raw)
    return FoundLink(link, descriptor)


def check_set(reply: Reply, link: Link) -> None:
    """Raise the error of a link that could not be set.

    Raises:
        LinkNotCarriedError: the server stores no links, or the account may not create this one.
        FileError: any other refusal.
    """
    status = reply.status
    if status in _NO_LINKS_HERE:
        text = f"the destination's server stores no links over SMB ({status_name(status)})"
        raise LinkNotCarriedError(text, status=status, never=True)
    if status in _NOT_PERMITTED and link.tag == SYMLINK:
        text = (
            f"the destination's account may not create symbolic links ({status_name(status)}); grant it "
            "SeCreateSymbolicLinkPrivilege"
        )
        raise LinkNotCarriedError(text, status=status)
    if status != NtStatus.SUCCESS:
        raise status_error(status, "creating the link")
