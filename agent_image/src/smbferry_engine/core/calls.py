"""Requests, compounds and replies: what travels between the coroutines of a transfer and a lane."""

from collections.abc import Sequence
from typing import NamedTuple

from smbferry_engine.core.credits import charge_for
from smbferry_engine.core.frames import BufferPool
from smbferry_engine.core.tasks import Signal
from smbferry_engine.wire import create, data, directory, info, ioctl, tree
from smbferry_engine.wire.header import RELATED_FILE_ID, Command
from smbferry_engine.wire.status import NtStatus

_SHARE_ALL = int(create.Share.READ | create.Share.WRITE | create.Share.DELETE)
_OPEN_REPARSE_POINT = int(create.CreateOption.OPEN_REPARSE_POINT)
_BACKUP_INTENT = int(create.CreateOption.OPEN_FOR_BACKUP_INTENT)
_REPARSE_POINT_ITSELF = _OPEN_REPARSE_POINT | _BACKUP_INTENT


class Request(NamedTuple):
    """One message without its header; ``charge`` in credits."""

    command: Command
    body: bytes
    charge: int = 1


class Reply(NamedTuple):
    """One final reply: ``message`` from its header on. ``buffer`` is set only for a read that keeps its buffer."""

    status: int
    message: bytes | memoryview
    buffer: bytearray | None = None


class Payload(NamedTuple):
    """A message of ``size`` bytes at the beginning of ``buffer``, which goes back to ``pool`` when it has been sent."""

    buffer: bytearray
    size: int
    pool: BufferPool


class Call(Signal[list[Reply]]):
    """A compound (or a single request) on its way: awaiting it gives one reply per request, in their order."""

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
        """Reply ``index`` has come; the last one resolves the call."""
        self.replies[index] = reply
        self.missing -= 1
        if not self.missing:
            self.resolve([reply for reply in self.replies if reply is not None])

    def was_refused(self, last: Reply, status: int) -> bool:
        """Whether, with its ``last`` reply, nothing of it was done for this reason and it can be sent again."""
        if self.missing > 1 or not self.can_be_sent_again:
            return False
        statuses = [last.status if reply is None else reply.status for reply in self.replies]
        return statuses[0] == status and NtStatus.SUCCESS not in statuses

    def begin_again(self) -> None:
        """It will be sent a second time, and no third."""
        self.can_be_sent_again = False
        self.replies = [None] * len(self.requests)
        self.missing = len(self.requests)


def open_request(
    name: str,
    *,
    access: int,
    disposition: int = create.Disposition.OPEN,
    options: int = 0,
    share: int = _SHARE_ALL,
    attributes: int = 0,
    contexts: tuple[bytes, ...] = (),
    descriptor: bytes | None = None,
    itself: bool = True,
) -> Request:
    """CREATE that never follows a reparse point: what it opens is the name itself.

    It asks with backup intent: a server lets an account that may back up and restore files do so, whatever their access
    lists say, and ignores it for any other (MS-FSA 2.1.5.1).

    ``itself`` False is for a reparse point that is no link, so that the server gives what it stands for. Links are not
    followed by that either: the server answers STOPPED_ON_SYMLINK (2.2.2.2.1). ``descriptor`` is the raw security
    descriptor of what is made by it.
    """
    body = create.encode_create(
        name,
        access=access,
        disposition=disposition,
        options=options | (_REPARSE_POINT_ITSELF if itself else _BACKUP_INTENT),
        share=share,
        attributes=attributes,
        contexts=contexts,
        descriptor=descriptor,
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
    """QUERY_DIRECTORY, up to ``limit`` bytes of entries; with ``name``, of the one that has it."""
    body = directory.encode_query_directory(file_id, limit, entry_class, name)
    return Request(Command.QUERY_DIRECTORY, body, charge_for(limit))


def query_security_request(parts: int, limit: int, file_id: bytes = RELATED_FILE_ID) -> Request:
    """QUERY_INFO for a security descriptor."""
    return Request(Command.QUERY_INFO, info.encode_query_security(file_id, parts, limit), charge_for(limit))


def query_standard_request(file_id: bytes = RELATED_FILE_ID) -> Request:
    """QUERY_INFO for sizes and the number of links."""
    return Request(Command.QUERY_INFO, info.encode_query_standard(file_id))


def query_size_request(file_id: bytes = RELATED_FILE_ID) -> Request:
    """QUERY_INFO for the size of the file system."""
    return Request(Command.QUERY_INFO, info.encode_query_size(file_id))


def set_basic_request(
    *, creation: int = 0, access: int = 0, write: int = 0, attributes: int = 0, file_id: bytes = RELATED_FILE_ID
) -> Request:
    """SET_INFO for times and attributes; zero leaves a field alone."""
    body = info.encode_set_basic(file_id, creation=creation, access=access, write=write, attributes=attributes)
    return Request(Command.SET_INFO, body)


def set_security_request(parts: int, descriptor: bytes, file_id: bytes = RELATED_FILE_ID) -> Request:
    """SET_INFO for parts of a security descriptor."""
    body = info.encode_set_security(file_id, parts, descriptor)
    return Request(Command.SET_INFO, body, charge_for(len(body)))


def rename_request(name: str, *, replace: bool, file_id: bytes = RELATED_FILE_ID) -> Request:
    """SET_INFO that renames."""
    return Request(Command.SET_INFO, info.encode_rename(file_id, name, replace=replace))


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
    """IOCTL after which ranges that are never written take no room."""
    return Request(Command.IOCTL, ioctl.encode_set_sparse(file_id))


def ranges_request(begin: int, end: int, limit: int, file_id: bytes = RELATED_FILE_ID) -> Request:
    """IOCTL that asks what between two bytes is no hole, answered by up to ``limit`` bytes."""
    return Request(Command.IOCTL, ioctl.encode_query_ranges(file_id, begin, end, limit), charge_for(limit))


def ioctl_request(file_id: bytes, control: int, given: bytes, limit: int) -> Request:
    """IOCTL with ``given`` as its input, answered by up to ``limit`` bytes."""
    charge = charge_for(max(len(given), limit))
    return Request(Command.IOCTL, ioctl.encode_ioctl(file_id, control, given, limit), charge)


def resume_key_request(file_id: bytes = RELATED_FILE_ID) -> Request:
    """IOCTL that asks for what names an open file as the source of a copy."""
    return Request(Command.IOCTL, ioctl.encode_request_resume_key(file_id))


def copy_chunks_request(file_id: bytes, resume_key: bytes, chunks: Sequence[ioctl.Chunk]) -> Request:
    """IOCTL by which the server copies ranges of one of its files into another."""
    body = ioctl.encode_copy_chunks(file_id, resume_key, chunks)
    return Request(Command.IOCTL, body, charge_for(len(body)))


def empty_request(command: Command) -> Request:
    """ECHO, LOGOFF or TREE_DISCONNECT."""
    return Request(command, tree.encode_empty())
