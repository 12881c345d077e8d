"""A compound sent one request at a time, for a server that leaves too few credits to send it whole (3.2.4.1.4)."""

from collections.abc import Callable
from typing import Final

from smbferry_engine.core.calls import Call, Reply, Request
from smbferry_engine.wire.create import decode_create
from smbferry_engine.wire.header import RELATED_FILE_ID, Command
from smbferry_engine.wire.status import NtStatus

# Where a request's body holds the file id: 2.2.15, 2.2.17, 2.2.19, 2.2.21, 2.2.31, 2.2.33, 2.2.37, 2.2.39.
_FILE_ID_AT: Final = {
    Command.CLOSE: 8,
    Command.FLUSH: 8,
    Command.READ: 16,
    Command.WRITE: 16,
    Command.IOCTL: 8,
    Command.QUERY_DIRECTORY: 8,
    Command.QUERY_INFO: 24,
    Command.SET_INFO: 16,
}
_SIZE: Final = len(RELATED_FILE_ID)


class SplitCall:
    """Answers ``call`` as a server answers the whole compound (3.3.5.2.7.2), one request after the other.

    What follows a CREATE that failed fails with it and is not sent; what follows any other failure is.

    Args:
        submit: sends a call of one request before everything else that waits.
    """

    def __init__(self, call: Call, submit: Callable[[Call], None]) -> None:
        self._call = call
        self._submit = submit
        self._file_id = _own_file_id(call.requests[0])

    def send(self, index: int = 0) -> None:
        """Send request ``index``, and those behind it as the answers come."""
        part = Call((_naming(self._call.requests[index], self._file_id),), tree_id=self._call.tree_id)
        part.when_done(lambda: self._answered(index, part))
        self._submit(part)

    def _answered(self, index: int, part: Call) -> None:
        if part.error is not None:
            self._call.fail(part.error)
            return
        (reply,) = part.result()
        self._call.answer(index, reply)
        rest = range(index + 1, len(self._call.requests))
        if self._call.requests[index].command == Command.CREATE:
            if reply.status != NtStatus.SUCCESS:
                for later in rest:
                    self._call.answer(later, Reply(reply.status, reply.message))
                return
            self._file_id = decode_create(reply.message).file_id
        if rest:
            self.send(rest.start)


def _own_file_id(first: Request) -> bytes:
    """The file that the first request names; a CREATE's reply will name it."""
    at = _FILE_ID_AT.get(first.command)
    return RELATED_FILE_ID if at is None else first.body[at : at + _SIZE]


def _naming(request: Request, file_id: bytes) -> Request:
    """The request with the file's own id where it refers to the one before it."""
    at = _FILE_ID_AT.get(request.command)
    if at is None or request.body[at : at + _SIZE] != RELATED_FILE_ID:
        return request
    return request._replace(body=request.body[:at] + file_id + request.body[at + _SIZE :])
