"""The server in memory: compounds in, compounds out."""

import struct

from lab.fake_server.nodes import RELATED, SESSION, TREE, Request
from lab.fake_server.operations import Files

from smbferry_engine.wire.header import FLAG_ASYNC, FLAG_RELATED, FLAG_RESPONSE, HEADER_SIZE, Command
from smbferry_engine.wire.status import NtStatus

HEADER = struct.Struct("<4sHHIHHIIQIIQ16s")
PLENTY = 1 << 19
"""Credits of a client that gets the same number with every reply: a window beyond that is no real server's."""


class FakeServer(Files):
    """Handles decrypted compounds of one client at a time."""

    def handle(self, compound: bytes, client: object = None) -> bytes:
        """All requests of one compound of a client, answered as one compound."""
        self.client = client
        self._check_credits(compound)
        offset, replies = 0, []
        last_id, failed = RELATED, 0
        while True:
            fields = HEADER.unpack_from(compound, offset)
            command, flags, following, message_id = fields[4], fields[6], fields[7], fields[8]
            end = offset + following if following else len(compound)
            body = compound[offset + HEADER_SIZE : end]
            self._tree = fields[10]
            if not flags & FLAG_RELATED:
                last_id, failed = RELATED, 0
            if failed:
                status, reply = failed, b"\x09\0\0\0\0\0\0\0\0"
            else:
                status, reply, last_id = self._one(command, body, last_id)
                if command == Command.CREATE and status:
                    failed = status
            granted, tree = self._grant(max(1, fields[2]), fields[5]), self._tree
            replies.append(self.message(command, status, message_id, reply, credits_=granted, tree=tree))
            if not following:
                break
            offset = end
        return self.join(self.before_reply(replies))

    def _grant(self, charge: int, wanted: int) -> int:
        """Credits for one reply: what the request cost, and more of those wanted while the client has fewer than most.

        MS-SMB2 3.3.1.2 leaves the number to the server.
        """
        held = self._credits_held() - charge
        if self.most_credits is not None:
            granted = max(0, min(max(1, wanted), self.most_credits - held))
        else:
            granted = min(self.credits_granted, max(charge, PLENTY - held))
        self.credits[self.client] = held + granted
        return granted

    def keep_credits(self, most: int, *, first: int | None = None) -> None:
        """Leave each client `most` credits at a time; it has the `first` ones from its handshake."""
        self.most_credits, self.first_credits = most, most if first is None else first

    def _credits_held(self) -> int:
        return self.credits.get(self.client, self.first_credits or 0)

    def _check_credits(self, compound: bytes) -> None:
        """All credits of a compound are spent when it is sent; one that a client has no credits for is its fault."""
        charge, offset, following = 0, 0, 1
        while following:
            fields = HEADER.unpack_from(compound, offset)
            charge, following = charge + max(1, fields[2]), fields[7]
            offset += following
        if self.most_credits is not None:
            assert charge <= self._credits_held(), (
                f"a compound of {charge} credits came, the client has {self._credits_held()}"
            )

    @staticmethod
    def message(
        command: int,
        status: int,
        message_id: int,
        body: bytes,
        *,
        credits_: int = 1,
        flags: int = 0,
        session: int = SESSION,
        tree: int = TREE,
    ) -> bytes:
        low, tree = (0x55, 0) if flags & FLAG_ASYNC else (0, tree)
        header = HEADER.pack(
            b"\xfeSMB",
            64,
            1,
            status,
            command,
            credits_,
            flags | FLAG_RESPONSE,
            0,
            message_id,
            low,
            tree,
            session,
            bytes(16),
        )
        return header + body

    @staticmethod
    def join(replies: list[bytes]) -> bytes:
        out = bytearray()
        for index, reply in enumerate(replies):
            if index == len(replies) - 1:
                return bytes(out + reply)
            padded = reply + bytes(-len(reply) % 8)
            out += padded[:20] + struct.pack("<I", len(padded)) + padded[24:]
        return bytes(out)

    def _one(self, command: int, body: bytes, last_id: bytes) -> tuple[int, bytes, bytes]:
        name = None
        if command == Command.CREATE:
            length = struct.unpack_from("<H", body, 46)[0]
            name = body[56 : 56 + length].decode("utf-16-le", "surrogatepass")
        file_id = _file_id(command, body)
        file_id = last_id if file_id == RELATED else file_id
        handle = self.handles.get(file_id)
        request = Request(command, body, name, handle.node if handle else None)
        self.requests.append(request)
        for fault in self.faults:
            status = fault(request)
            if status is not None:
                return status, b"\x09\0\0\0\0\0\0\0\0", file_id
        if command == Command.CREATE:
            return self._create(body, name or "")
        if command in (Command.ECHO, Command.LOGOFF, Command.TREE_DISCONNECT):
            return 0, b"\x04\0\0\0", file_id
        if command in (Command.SESSION_SETUP, Command.TREE_CONNECT):
            return *(self._tree_connect(body) if command == Command.TREE_CONNECT else self._session_setup()), file_id
        if handle is None or handle.tree != self._tree:
            return NtStatus.FILE_CLOSED, b"\x09\0\0\0\0\0\0\0\0", file_id
        status, reply = getattr(self, f"_{Command(command).name.lower()}")(body, handle, file_id)
        return status, reply, file_id

    def _session_setup(self) -> tuple[int, bytes]:
        return 0, struct.pack("<HHHH", 9, self.session_flags, HEADER_SIZE + 8, 6) + b"AP-REP"

    def _tree_connect(self, body: bytes) -> tuple[int, bytes]:
        start, length = struct.unpack_from("<HH", body, 4)
        self._tree = TREE + len(self.trees)
        self.trees[self._tree] = body[start - HEADER_SIZE : start - HEADER_SIZE + length].decode("utf-16-le")
        return 0, struct.pack("<HBBIII", 16, 1, 0, 0, 0, 0x1F01FF)


def _file_id(command: int, body: bytes) -> bytes:
    at = {Command.CLOSE: 8, Command.READ: 16, Command.WRITE: 16, Command.FLUSH: 8, Command.QUERY_DIRECTORY: 8,
          Command.QUERY_INFO: 24, Command.SET_INFO: 16, Command.IOCTL: 8}.get(Command(command))  # fmt: skip
    return RELATED if at is None else body[at : at + 16]
