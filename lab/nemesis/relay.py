"""Runs inside the domain controller (python3 -c): a TCP relay that fails when told. Standard library only.

Arguments: port, target's address, target's port. SIGUSR1 resets every connection, SIGUSR2 holds all of them for HELD
seconds: nothing passes, nothing is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import struct
import sys

CHUNK = 256 << 10
HELD = 8.0
RESET = struct.pack("ii", 1, 0)


class Relay:
    """All connections of one port."""

    def __init__(self, address: str, port: int) -> None:
        self._target = (address, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._open = asyncio.Event()
        self._open.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from beginning to end."""
        try:
            other_reader, other = await asyncio.open_connection(*self._target, limit=CHUNK)
        except OSError:
            self._reset(writer)
            return
        self._writers |= {writer, other}
        try:
            await asyncio.gather(self._pass_on(reader, other), self._pass_on(other_reader, writer))
        finally:
            self._writers -= {writer, other}

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK):
                await self._open.wait()
                writer.write(chunk)
                await writer.drain()
        writer.close()

    def reset(self) -> None:
        """Ends all connections as a router that has lost its mind does."""
        for writer in self._writers:
            self._reset(writer)

    def hold(self) -> None:
        """Lets nothing pass for a while."""
        self._open.clear()
        asyncio.get_running_loop().call_later(HELD, self._open.set)

    @staticmethod
    def _reset(writer: asyncio.StreamWriter) -> None:
        sock: socket.socket = writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()


async def main(port: int, address: str, target: int) -> None:
    """Serves until it is killed."""
    relay = Relay(address, target)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, relay.reset)
    loop.add_signal_handler(signal.SIGUSR2, relay.hold)
    server = await asyncio.start_server(relay.serve, address, port, limit=CHUNK)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
