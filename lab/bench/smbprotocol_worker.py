"""smbprotocol's own client in a process of its own: `python -m lab.bench.smbprotocol_worker JOB`.

Used as its documentation shows it: open files, read and write them, set their times, folder by folder. Its `shutil` is
not used, as that would have the server copy within itself. The time runs from before the connections are made.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import smbclient  # type: ignore[import-untyped]  # it publishes no types
import spnego
from lab.bench.cases import Work
from lab.bench.job import Job, Side
from smbclient.path import isdir  # type: ignore[import-untyped]  # it publishes no types

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 1 << 20


class Client:
    """One side: a session of its own, paths below the job's root."""

    def __init__(self, job: Job, side: Side) -> None:
        self._root = rf"\\{job.server}\{side.share}\{side.path}".replace("/", "\\")
        self.options: dict[str, Any] = {"port": job.port, "connection_cache": {}}
        smbclient.register_session(
            job.server,
            username=spnego.KerberosCCache(side.ccache, side.principal),
            encrypt=True,
            auth_protocol="kerberos",
            **self.options,
        )

    def path(self, *names: str) -> str:
        """The UNC path of something below the root."""
        return "\\".join((self._root, *names))

    def open(self, path: str, mode: str) -> Any:
        """A file without a buffer between."""
        return smbclient.open_file(path, mode=mode, buffering=0, share_access="r", **self.options)


def pour(source: Any, sink: Callable[[bytes], object]) -> None:
    """Everything that can be read."""
    while data := source.read(CHUNK):
        view = memoryview(data)
        while view:
            view = view[int(str(sink(bytes(view)))) :]


def copy_file(source: Client, destination: Client, ours: str, theirs: str) -> None:
    """One file with its times."""
    state = smbclient.stat(ours, **source.options)
    with source.open(ours, "rb") as reader, destination.open(theirs, "wb") as writer:
        pour(reader, writer.write)
    smbclient.utime(theirs, ns=(state.st_atime_ns, state.st_mtime_ns), **destination.options)


def copy_tree(source: Client, destination: Client, *below: str) -> None:
    """A folder with everything in it."""
    theirs = destination.path(*below)
    if not isdir(theirs, **destination.options):
        smbclient.makedirs(theirs, **destination.options)
    for entry in smbclient.scandir(source.path(*below), **source.options):
        if entry.is_dir():
            copy_tree(source, destination, *below, entry.name)
        else:
            copy_file(source, destination, source.path(*below, entry.name), destination.path(*below, entry.name))


def facts(entry: Any) -> tuple[int, object]:
    """Size and write time as the listing has them: the entry's own stat() would open every file."""
    return entry.smb_info.end_of_file, entry.smb_info.last_write_time


def rescan(source: Client, destination: Client, *below: str) -> int:
    """Compare sizes and write times; returns how many files are the same.

    Raises:
        RuntimeError: one is not.
    """
    there = {entry.name: facts(entry) for entry in smbclient.scandir(destination.path(*below), **destination.options)}
    same = 0
    for entry in smbclient.scandir(source.path(*below), **source.options):
        if entry.is_dir():
            same += rescan(source, destination, *below, entry.name)
            continue
        if facts(entry) != there.get(entry.name):
            raise RuntimeError(f"{entry.name} differs")
        same += 1
    return same


def main(job: Job) -> dict[str, object]:
    """Do the job; what it took."""
    reach(job)
    answer: dict[str, object] = {}
    started = time.perf_counter()
    if job.work is Work.READ:
        source = Client(job, job.source)
        with source.open(source.path(job.name), "rb") as reader:
            pour(reader, sys.stdout.buffer.write if job.show else len)
    elif job.work is Work.WRITE:
        destination = Client(job, job.destination)
        with (
            Path(job.local).open("rb", buffering=0) as reader,
            destination.open(destination.path(job.name), "wb") as writer,
        ):
            pour(reader, writer.write)
    elif job.work is Work.RESCAN:
        answer["listed"] = rescan(Client(job, job.source), Client(job, job.destination))
    else:
        copy_tree(Client(job, job.source), Client(job, job.destination))
    answer["seconds"] = time.perf_counter() - started
    return answer


def reach(job: Job) -> None:
    """Let the server's name lead to the job's address: the library connects to the name that the ticket is for."""
    resolve = socket.getaddrinfo

    def resolved(host: Any, *arguments: Any, **options: Any) -> Any:
        return resolve(job.address if host == job.server else host, *arguments, **options)

    socket.getaddrinfo = resolved


if __name__ == "__main__":
    todo = Job.from_json(sys.argv[1])
    try:
        said = main(todo)
        if not todo.show:
            json.dump(said, sys.stdout)
        sys.stdout.flush()
    except Exception:  # noqa: BLE001 (whatever it is, it is told; see below)
        traceback.print_exc()
        sys.stderr.flush()
        # The library's threads would keep a process that failed from ending.
        os._exit(1)
