"""Reads several logs at the same time."""

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from smbferry_cli.cluster import MissingError
from smbferry_cli.exits import ClusterError
from smbferry_cli.text import safe


def tell_gone(name: str, error: MissingError) -> None:
    """Says that a pod, or its node, was removed before its log could be read."""
    print(f"smbferry: {name} has no log: {safe(str(error))}", file=sys.stderr)


class Streams:
    """Logs that are being followed, each in a thread of its own.

    Args:
        source: returns the lines of a log.
    """

    def __init__(self, source: Callable[[str], Iterable[bytes]]) -> None:
        self._source = source
        self._arrived = queue.SimpleQueue[tuple[str, bytes | ClusterError | None]]()
        self._opened = set[str]()
        self._open = set[str]()

    @property
    def is_open(self) -> bool:
        """Whether a log has not ended, or not been read to its end."""
        return bool(self._open)

    def open(self, name: str) -> None:
        """Follows a log, unless it was opened before."""
        if name not in self._opened:
            self._opened.add(name)
            self._open.add(name)
            threading.Thread(target=self._read, args=(name,), name=f"log-{name}", daemon=True).start()

    def lines(self, seconds: float) -> Iterator[tuple[str, bytes]]:
        """Yields name and line of what arrives, for this long or until all logs have ended.

        Raises:
            ClusterError: a log could not be read.
        """
        end = time.monotonic() + seconds
        while self._open and (left := end - time.monotonic()) > 0:
            try:
                name, line = self._arrived.get(timeout=left)
            except queue.Empty:
                return
            if isinstance(line, bytes):
                yield name, line
            elif line is None:
                self._open.discard(name)
            elif isinstance(line, MissingError):
                tell_gone(name, line)
            else:
                raise line

    def _read(self, name: str) -> None:
        try:
            for line in self._source(name):
                self._arrived.put((name, line))
        except ClusterError as error:
            self._arrived.put((name, error))
        finally:
            self._arrived.put((name, None))
