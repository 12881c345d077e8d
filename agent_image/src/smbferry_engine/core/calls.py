"""Requests, compounds and replies, as coroutines exchange them with a session."""

from collections.abc import Sequence
from typing import NamedTuple

from smbferry_engine.core.credits import charge_for
from smbferry_engine.core.frames import BufferPool
from smbferry_engine.runtime.tasks import Signal
from smbferry_engine.wire import create, data, directory, info, ioctl, snapshots, tree
from smbferry_engine.wire.header import RELATED_FILE_ID, Command
from smbferry_engine.wire.status import NtStatus

SHARE_ALL = int(create.Share.READ | create.Share.WRITE | create.Share.DELETE)
_OPEN_REPARSE_POINT = int(create.CreateOption.OPEN_REPARSE_POINT)
_BACKUP_INTENT = int(create.CreateOption.OPEN_FOR_BACKUP_INTENT)
_REPARSE_POINT_WITH_BACKUP_INTENT = _OPEN_REPARSE_POINT | _BACKUP_INTENT


class Request(NamedTuple):
    """One message without its header; ``charge`` in credits."""

    command: Command
    body: bytes
    charge: int = 1


class Reply(NamedTuple):
    """One final reply: ``message`` includes the header. ``buffer`` is set only for a READ that keeps its buffer."""

    status: int
    message: bytes | memoryview
    buffer: bytearray | None = None


class Payload(NamedTuple):
    """A message of ``size`` bytes at the beginning of ``buffer``, which goes back to ``pool`` when it has been sent."""

    buffer: bytearray
    size: int
    pool: BufferPool


class Call(Signal[list[Reply]]):
    """A compound (or a single request) that was submitted; awaiting it returns one reply per request, in order."""

    __slots__ = ("can_be_sent_again", "charge", "keep_buffer", "missing", "payload", "replies", "requests", "tree_id")

    def __init__(
        self,
        requests: tuple[Request, ...],
        *,
        tree_id: int = 0,
        keep_buffer: bool = False,
        payload: Payload | None = None,
    ) -> None:
        super().__init__()
        self.requests = requests
        self.tree_id = tree_id
        self.charge = sum(request.charge for request in requests)
        self.keep_buffer = keep_buffer
        self.payload = payload
        self.can_be_sent_again = True
        self.replies: list[Reply | None] = [None] * len(requests)
        self.missing = len(requests)

    def answer(self, index: int, reply: Reply) -> None:
        """Record reply ``index``; the last one resolves the call."""
        self.replies[index] = reply
        self.missing -= 1
        if not self.missing:
            self.resolve([reply for reply in self.replies if reply is not None])

    def was_refused(self, last: Reply, status: int) -> bool:
        """Return whether all its requests, with the ``last`` reply, failed for this reason and it can be sent again."""
        if self.missing > 1 or not self.can_be_sent_again:
            return False
        statuses = [last.status if reply is None else reply.status for reply in self.replies]
        return statuses[0] == status and NtStatus.SUCCESS not in statuses

    def begin_again(self) -> None:
        """Reset it to be sent a second time, and no third."""
        self.can_be_sent_again = False
        self.replies = [None] * len(self.requests)
        self.missing = len(self.requests)


def open_request(
    name: str,
    *,
    access: int,
    disposition: int = create.Disposition.OPEN,
    options: int = 0,
    share: int = SHARE_ALL,
    attributes: int = 0,
    contexts: tuple[bytes, ...] = (),
    descriptor: bytes | None = None,
    open_reparse_point: bool = True,
    snapshot: int = 0,
) -> Request:
    """CREATE that opens a reparse point itself and does not follow it.

    It has backup intent: a server lets an account with backup and restore privileges open files whatever their access
    lists say, and ignores it for other accounts (MS-FSA 2.1.5.1).

    ``open_reparse_point`` False is for a reparse point that is no link, so that the server opens the content behind it.
    Links are not followed then either: the server answers STOPPED_ON_SYMLINK (2.2.2.2.1). ``descriptor`` is the raw
    security descriptor of a file or folder that is created. ``snapshot`` is as for
    :func:`~smbferry_engine.wire.create.encode_create`.
    """
    body = create.encode_create(
        name,
        access=access,
        disposition=disposition,
        options=options | (_REPARSE_POINT_WITH_BACKUP_INTENT if open_reparse_point else _BACKUP_INTENT),
        share=share,
        attributes=attributes,
        contexts=contexts,
        descriptor=descriptor,
        snapshot=snapshot,
    )
    return Request(Command.CREATE, body)


def close_request(file_id: bytes = RELATED_FILE_ID, *, query_attributes: bool = False) -> Request:
    """CLOSE."""
    return Request(Command.CLOSE, create.encode_close(file_id, query_attributes=query_attributes))


def read_request(offset: int, length: int, file_id: bytes = RELATED_FILE_ID) -> Request:
    """READ."""
    return Request(Command.READ, data.encode_read(file_id, offset, length), charge_for(length))


def write_request(offset: int, content: bytes | memoryview, file_id: bytes = RELATED_FILE_ID) -> Request:
    """WRITE whose data is copied into the request: for small content within a compound."""
    return Request(Command.WRITE, data.encode_write(file_id, offset, content), charge_for(len(content)))


def flush_request(file_id: bytes = RELATED_FILE_ID) -> Request:
    """FLUSH."""
    return Request(Command.FLUSH, data.encode_flush(file_id))


def list_request(
    entry_class: directory.EntryClass, limit: int, file_id: bytes = RELATED_FILE_ID, *, name: str | None = None
) -> Request:
    """QUERY_DIRECTORY for up to ``limit`` bytes of entries; with ``name``, for that entry only."""
    body = directory.encode_query_directory(file_id, limit, entry_class, name)
    return Request(Command.QUERY_DIRECTORY, body, charge_for(limit))


def query_security_request(parts: int, limit: int, file_id: bytes = RELATED_FILE_ID) -> Request:
    """QUERY_INFO for a security descriptor."""
    return Request(Command.QUERY_INFO, info.encode_query_security(file_id, parts, limit), charge_for(limit))


def query_standard_request(file_id: bytes = RELATED_FILE_ID) -> Request:
    """QUERY_INFO for sizes and the number of links."""
    return Request(Command.QUERY_INFO, info.encode_query_standard(file_id))


def query_internal_request(file_id: bytes = RELATED_FILE_ID) -> Request:
    """QUERY_INFO for the number of the file."""
    return Request(Command.QUERY_INFO, info.encode_query_internal(file_id))


def query_size_request(file_id: bytes = RELATED_FILE_ID) -> Request:
    """QUERY_INFO for the size of the file system."""
    return Request(Command.QUERY_INFO, info.encode_query_size(file_id))


def query_volume_request(file_id: bytes = RELATED_FILE_ID) -> Request:
    """QUERY_INFO for what the file system can hold."""
    return Request(Command.QUERY_INFO, info.encode_query_volume(file_id))


def query_streams_request(limit: int, file_id: bytes = RELATED_FILE_ID) -> Request:
    """QUERY_INFO for the names and sizes of streams."""
    return Request(Command.QUERY_INFO, info.encode_query_streams(file_id, limit), charge_for(limit))


def query_extended_attributes_request(limit: int, file_id: bytes = RELATED_FILE_ID) -> Request:
    """QUERY_INFO for extended attributes."""
    return Request(Command.QUERY_INFO, info.encode_query_extended_attributes(file_id, limit), charge_for(limit))


def set_extended_attributes_request(attributes: bytes, file_id: bytes = RELATED_FILE_ID) -> Request:
    """SET_INFO for an encoded list of extended attributes."""
    body = info.encode_set_extended_attributes(file_id, attributes)
    return Request(Command.SET_INFO, body, charge_for(len(body)))


def set_basic_request(
    *, creation: int = 0, access: int = 0, write: int = 0, attributes: int = 0, file_id: bytes = RELATED_FILE_ID
) -> Request:
    """SET_INFO for times and attributes; zero leaves a field unchanged."""
    body = info.encode_set_basic(file_id, creation=creation, access=access, write=write, attributes=attributes)
    return Request(Command.SET_INFO, body)


def set_security_request(parts: int, descriptor: bytes, file_id: bytes = RELATED_FILE_ID) -> Request:
    """SET_INFO for parts of a security descriptor."""
    body = info.encode_set_security(file_id, parts, descriptor)
    return Request(Command.SET_INFO, body, charge_for(len(body)))


def rename_request(name: str, *, replace: bool, file_id: bytes = RELATED_FILE_ID) -> Request:
    """SET_INFO that renames."""
    return Request(Command.SET_INFO, info.encode_rename(file_id, name, replace=replace))


def link_request(name: str, *, replace: bool, file_id: bytes = RELATED_FILE_ID) -> Request:
    """SET_INFO that gives the file one more name."""
    return Request(Command.SET_INFO, info.encode_link(file_id, name, replace=replace))


def set_size_request(size: int, file_id: bytes = RELATED_FILE_ID) -> Request:
    """SET_INFO for the end of the file."""
    return Request(Command.SET_INFO, info.encode_end_of_file(file_id, size))


def delete_request(file_id: bytes = RELATED_FILE_ID) -> Request:
    """SET_INFO that deletes the file when it is closed."""
    return Request(Command.SET_INFO, info.encode_disposition(file_id, delete=True))


def tree_connect_request(server: str, share: str) -> Request:
    r"""TREE_CONNECT to ``\\server\share``; sent with tree id 0."""
    return Request(Command.TREE_CONNECT, tree.encode_tree_connect(server, share))


def sparse_request(file_id: bytes = RELATED_FILE_ID) -> Request:
    """IOCTL that makes a file sparse: ranges that are never written take no space."""
    return Request(Command.IOCTL, ioctl.encode_set_sparse(file_id))


def compression_request(file_id: bytes = RELATED_FILE_ID) -> Request:
    """IOCTL that makes the server compress a file."""
    return Request(Command.IOCTL, ioctl.encode_set_compression(file_id))


def integrity_request(file_id: bytes = RELATED_FILE_ID) -> Request:
    """IOCTL that makes the server keep checksums of a file's content."""
    return Request(Command.IOCTL, ioctl.encode_set_integrity(file_id))


def ranges_request(begin: int, end: int, limit: int, file_id: bytes = RELATED_FILE_ID) -> Request:
    """IOCTL for the allocated ranges between two bytes; up to ``limit`` bytes of output."""
    return Request(Command.IOCTL, ioctl.encode_query_ranges(file_id, begin, end, limit), charge_for(limit))


def ioctl_request(file_id: bytes, control: int, given: bytes, limit: int) -> Request:
    """IOCTL with ``given`` as its input; up to ``limit`` bytes of output."""
    charge = charge_for(max(len(given), limit))
    return Request(Command.IOCTL, ioctl.encode_ioctl(file_id, control, given, limit), charge)


def resume_key_request(file_id: bytes = RELATED_FILE_ID) -> Request:
    """IOCTL for the key that identifies an open file as the source of a copy."""
    return Request(Command.IOCTL, ioctl.encode_request_resume_key(file_id))


def snapshots_request(limit: int, file_id: bytes = RELATED_FILE_ID) -> Request:
    """IOCTL for the times of the server's snapshots; up to ``limit`` bytes of output."""
    return Request(Command.IOCTL, snapshots.encode_enumerate_snapshots(file_id, limit), charge_for(limit))


def copy_chunks_request(file_id: bytes, resume_key: bytes, chunks: Sequence[ioctl.Chunk]) -> Request:
    """IOCTL that has the server copy ranges of one of its files into another."""
    body = ioctl.encode_copy_chunks(file_id, resume_key, chunks)
    return Request(Command.IOCTL, body, charge_for(len(body)))


def empty_request(command: Command) -> Request:
    """ECHO, LOGOFF or TREE_DISCONNECT."""
    return Request(command, tree.encode_empty())
