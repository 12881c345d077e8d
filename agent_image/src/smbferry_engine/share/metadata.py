"""Metadata of files and folders: which is copied, and how it is set."""

from dataclasses import dataclass
from typing import NamedTuple, Self

from smbferry_engine.core.calls import (
    Reply,
    Request,
    close_request,
    open_request,
    set_basic_request,
    set_security_request,
)
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.model import Options
from smbferry_engine.plan.mark import mark_of
from smbferry_engine.share.access import SET_ACCESS
from smbferry_engine.share.ownership import OWNER_REFUSALS, owner_refused
from smbferry_engine.share.replies import check
from smbferry_engine.share.share import Share
from smbferry_engine.times import settable
from smbferry_engine.wire.attributes import COPIED_ATTRIBUTES, NORMAL
from smbferry_engine.wire.create import Access, CreateOption, CreateReply, decode_create
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.header import RELATED_FILE_ID
from smbferry_engine.wire.info import OWNER_AND_GROUP, SecurityPart
from smbferry_engine.wire.status import status_name
from smbferry_words.options import Preservation, SecurityDescriptors

_OPENING = "opening it to set its metadata"
_SETTING = "setting times and attributes"
_FILE = int(CreateOption.NON_DIRECTORY_FILE)
# Plain integers: these are combined once per file, and IntFlag is slow at that.
_DACL, _SACL = int(SecurityPart.DACL), int(SecurityPart.SACL)
_PARTS = {
    SecurityDescriptors.NONE: 0,
    SecurityDescriptors.OWNER_DACL: _DACL,
    SecurityDescriptors.OWNER_DACL_SACL: _DACL | _SACL,
}
_READ_CONTROL = int(Access.READ_CONTROL)
_WRITE_DESCRIPTOR = int(Access.WRITE_DAC | Access.WRITE_OWNER)
_ACCESS_SYSTEM_SECURITY = int(Access.ACCESS_SYSTEM_SECURITY)


@dataclass(slots=True)
class MetadataPolicy:
    """Which metadata is copied: ``times``, ``attributes``, and parts of the security descriptor.

    ``security_parts`` are those copied beside owner and group (SECURITY_INFORMATION, MS-DTYP 2.4.7), 0 for none.
    ``read_access`` and ``write_access`` are the access rights to read and set them. ``audit_refusal`` says why audit
    lists are not copied although the options ask for them.
    """

    times: bool
    attributes: bool
    security_parts: int
    read_access: int
    write_access: int
    audit_refusal: FileError | None = None

    @classmethod
    def of(cls, options: Options) -> Self:
        """Derive the policy from the options."""
        policy = cls(options.timestamps is Preservation.PRESERVE, options.attributes is Preservation.PRESERVE, 0, 0, 0)
        policy._copy(_PARTS[options.security_descriptors])
        return policy

    def leave_out_audit_lists(self, refusal: FileError) -> None:
        """Copy no audit lists; ``refusal`` is reported for each file."""
        self.audit_refusal = refusal
        self._copy(self.security_parts & ~_SACL)

    def _copy(self, parts: int) -> None:
        sacl = _ACCESS_SYSTEM_SECURITY if parts & _SACL else 0
        self.security_parts = parts
        self.read_access = _READ_CONTROL | sacl if parts else 0
        self.write_access = _WRITE_DESCRIPTOR | sacl if parts else 0


class Metadata(NamedTuple):
    """Metadata to set: times (0 leaves one unchanged), attributes (0 leaves them unchanged), the raw descriptor.

    ``mark`` is the write time that marks a file without some of its metadata (ADR 18).
    """

    creation_time: int
    access_time: int
    write_time: int
    attributes: int
    descriptor: bytes | None
    mark: int

    def marked(self) -> Self:
        """Return the metadata for a file that can't have all of it."""
        return self._replace(write_time=self.mark)


def metadata_of(
    policy: MetadataPolicy, source: CreateReply | DirectoryEntry, descriptor: bytes | None = None
) -> Metadata:
    """Return the metadata of ``source`` that is copied."""
    attributes = (source.attributes & COPIED_ATTRIBUTES or NORMAL) if policy.attributes else 0
    mark = mark_of(source.write_time)
    if not policy.times:
        return Metadata(0, 0, 0, attributes, descriptor, mark)
    return Metadata(
        settable(source.creation_time),
        settable(source.access_time),
        settable(source.write_time),
        attributes,
        descriptor,
        mark,
    )


async def security_refusal(
    share: Share, policy: MetadataPolicy, path: str, descriptor: bytes | None
) -> FileError | None:
    """Return why a file at ``path`` can't have all of ``descriptor``, before it is created; None if it can."""
    if descriptor is None:
        return None
    return await share.ownership.refusal(path, descriptor) or policy.audit_refusal


def basic_requests(metadata: Metadata, file_id: bytes = RELATED_FILE_ID) -> list[Request]:
    """Return the SET_INFO for times and attributes, if any are to be set."""
    if not (metadata.attributes or metadata.write_time or metadata.creation_time or metadata.access_time):
        return []
    return [
        set_basic_request(
            creation=metadata.creation_time,
            access=metadata.access_time,
            write=metadata.write_time,
            attributes=metadata.attributes,
            file_id=file_id,
        )
    ]


def access_list_requests(policy: MetadataPolicy, metadata: Metadata, file_id: bytes = RELATED_FILE_ID) -> list[Request]:
    """Return the SET_INFO for the access lists."""
    if metadata.descriptor is None:
        return []
    return [set_security_request(policy.security_parts, metadata.descriptor, file_id)]


def security_requests(policy: MetadataPolicy, metadata: Metadata, file_id: bytes = RELATED_FILE_ID) -> list[Request]:
    """Return SET_INFO for the access lists, and one for owner and group, which may take a privilege."""
    if metadata.descriptor is None:
        return []
    owner = set_security_request(OWNER_AND_GROUP, metadata.descriptor, file_id)
    return [*access_list_requests(policy, metadata, file_id), owner]


def check_access_list(reply: Reply) -> None:
    """Raise :class:`FileError` unless the access lists were set: otherwise more people might read the file."""
    if reply.status in OWNER_REFUSALS:
        raise FileError(
            FileReason.SECURITY_NOT_PERMITTED,
            f"setting the access list: expected the right to set it, got {status_name(reply.status)}; the file was not "
            "copied, because more people might read it than at the source. Grant the account Full Control at the "
            "destination, or choose securityDescriptors: None",
            status=reply.status,
        )
    check(reply, "setting the access list")


def judge_security(access_list: Reply, owner: Reply) -> FileError | None:
    """Check the replies to :func:`security_requests`; returns why owner and group were not set, None if they were.

    Raises:
        FileError: the access list was refused, or the owner was, but not for a missing right.
    """
    check_access_list(access_list)
    if owner.status in OWNER_REFUSALS:
        return owner_refused(owner.status)
    check(owner, "setting the owner")
    return None


async def apply_metadata(
    share: Share, policy: MetadataPolicy, path: str, metadata: Metadata, options: int
) -> FileError | None:
    """Set ``metadata`` on an existing file or folder in one compound; returns why its owner was not set.

    ``options``: CreateOptions for its kind (2.2.13).

    Raises:
        FileError: anything else was refused.
    """
    security, basic = security_requests(policy, metadata), basic_requests(metadata)
    if not security and not basic:
        return None
    opened, *replies = await share.session.call(
        _open_to_set(share, policy, path, metadata, options), *security, *basic, close_request()
    )
    check(opened, _OPENING)
    incomplete = judge_security(*replies[:2]) if security else None
    for reply in replies[len(security) :]:
        check(reply, _SETTING)
    return incomplete


async def set_old_attributes(share: Share, path: str, attributes: int) -> None:
    """Set the attributes of an existing file, so that a read-only one can be changed, or is read-only again.

    Raises:
        FileError: it was refused.
    """
    request = set_basic_request(attributes=attributes)
    await share.change(path, SET_ACCESS, (request,), "changing the old file's attributes")


async def apply_and_mark(
    share: Share, policy: MetadataPolicy, path: str, metadata: Metadata, lacking: FileError | None = None
) -> FileError | None:
    """Set ``metadata`` on an existing file, its times last. If part of it can't be set, or it is ``lacking`` something
    else, mark the file and return why.

    Raises:
        FileError: anything else was refused; the times are unchanged.
    """
    if metadata.descriptor is None:
        chosen = metadata if lacking is None else metadata.marked()
        return await apply_metadata(share, policy, path, chosen, _FILE) or lacking
    session = share.session
    request = _open_to_set(share, policy, path, metadata, _FILE)
    opening, *security = await session.call(request, *security_requests(policy, metadata))
    opened = decode_create(check(opening, _OPENING).message)
    try:
        incomplete = judge_security(*security) or policy.audit_refusal or lacking
        chosen = metadata if incomplete is None else metadata.marked()
        for setting in basic_requests(chosen, opened.file_id):
            (reply,) = await session.call(setting)
            check(reply, _SETTING)
    finally:
        session.call(close_request(opened.file_id))
    return incomplete


def _open_to_set(share: Share, policy: MetadataPolicy, path: str, metadata: Metadata, options: int) -> Request:
    access = SET_ACCESS | (policy.write_access if metadata.descriptor is not None else 0)
    return open_request(share.wire_path(path), access=access, options=options)
