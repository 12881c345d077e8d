"""Sends a compound one request at a time, to a server that grants too few credits for all of it (3.2.4.1.4)."""

from collections.abc import Callable
from typing import Final

from smbferry_engine.core.calls import Call, Reply, Request
from smbferry_engine.wire.create import decode_create
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.header import RELATED_FILE_ID, Command
from smbferry_engine.wire.status import NtStatus

# The offset of the file id in a request's body: 2.2.15, 2.2.17, 2.2.19, 2.2.21, 2.2.31, 2.2.33, 2.2.37, 2.2.39.
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

    If a CREATE fails, the requests after it fail, too, and are not sent; after any other failure they are sent.

    Args:
        submit: sends a call before all waiting ones.
    """

    def __init__(self, call: Call, submit: Callable[[Call], None]) -> None:
        self._call = call
        self._submit = submit
        self._file_id = _own_file_id(call.requests[0])

    def send(self, index: int = 0) -> None:
        """Send request ``index``, and the following ones after each reply."""
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
            try:
                self._file_id = decode_create(reply.message).file_id
            except WireError as error:
                self._call.fail(error)  # or whoever waits for the call would wait forever
                return
        if rest:
            self.send(rest.start)


def _own_file_id(first: Request) -> bytes:
    """Return the file id in the first request; that of a CREATE is in its reply."""
    at = _FILE_ID_AT.get(first.command)
    return RELATED_FILE_ID if at is None else first.body[at : at + _SIZE]


def _naming(request: Request, file_id: bytes) -> Request:
    """Return the request with the file id in place of the reference to the previous request."""
    at = _FILE_ID_AT.get(request.command)
    if at is None or request.body[at : at + _SIZE] != RELATED_FILE_ID:
        return request
    return request._replace(body=request.body[:at] + file_id + request.body[at + _SIZE :])
