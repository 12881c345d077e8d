"""Servers in memory behind sockets, and what stands for connecting to them."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from lab.fake_server import FakeServer, Link, folder, make_session

from smbferry_engine.model import Endpoint, Evidence
from smbferry_engine.operations import upload
from smbferry_engine.session import pair
from smbferry_engine.session.channel import Channel
from smbferry_engine.session.connect import Connected

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest
    from lab.fake_server import Node

EVIDENCE = Evidence(
    "", "3.1.1", "AES-128-GCM", "", "", share_encryption_required=True, max_read_size=1, max_write_size=1
)


class SocketServers:
    """A server for each share, whose folder `data` is given; `connected` are the shares that were connected to."""

    def __init__(self, listener: socket.socket, **folders: Node) -> None:
        self.servers = {share: FakeServer(folder(data=node)) for share, node in folders.items()}
        self.connected: list[str] = []
        self._listener = listener
        self._one_at_a_time = threading.Lock()

    def connect(self, side: Endpoint, *, deadline_seconds: float | None = None, chunk: int = 128 * 1024) -> Connected:
        assert deadline_seconds is None or 0 < deadline_seconds <= 30
        self.connected.append(side.share)
        with self._one_at_a_time:
            ours = socket.create_connection(self._listener.getsockname())
            theirs, _ = self._listener.accept()
        link = Link(self.servers[side.share], make_session(chunk=chunk))
        threading.Thread(target=self._serve, args=(theirs, link), daemon=True).start()
        return Connected(Channel(ours, link.session, f"{side.share}:445"), EVIDENCE, 0)

    def stand_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Operations connect to these servers."""
        for module, name in ((pair, "connect"), (pair, "connect_patiently"), (upload, "connect_patiently")):
            monkeypatch.setattr(module, name, self.connect)

    @staticmethod
    def _serve(theirs: socket.socket, link: Link) -> None:
        with theirs, contextlib.suppress(OSError):
            while data := theirs.recv(1 << 20):
                for sealed in link.answers_to(data):
                    theirs.sendall(sealed)


@contextlib.contextmanager
def socket_servers(**folders: Node) -> Iterator[SocketServers]:
    """Servers that listen while the block is entered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield SocketServers(listener, **folders)
