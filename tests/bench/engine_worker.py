"""The engine's part of the bench, in a process of its own: `python -m tests.bench.engine_worker JOB`.

Copies go through the public `transfer`; reading alone and writing alone use the same lanes, chunks and depth as that.
The time runs from before the connections are made to the last reply; what it took goes to standard output as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.cases import Work
from tests.bench.job import Job, Side

from smbferry_engine import (
    Endpoint,
    Options,
    Outcome,
    SecurityDescriptors,
    ServerSideCopy,
    VerifyMode,
    transfer,
)
from smbferry_engine.connect import connect
from smbferry_engine.content import DEPTH, open_file, ranges_of, stream
from smbferry_engine.core.calls import close_request, open_request
from smbferry_engine.core.group import run_all
from smbferry_engine.share import Share, check
from smbferry_engine.transport import Driver
from smbferry_engine.wire.create import Access, CreateOption, Disposition, decode_create
from smbferry_engine.wire.data import WRITE_DATA_OFFSET, decode_write

if TYPE_CHECKING:
    from smbferry_engine import Counters, Evidence, FileFailure, FileRecord, Result, ServerSideFact, SideName


class Listener:
    """An observer that keeps what protects the sides, and the first failures."""

    def __init__(self) -> None:
        self.ciphers: list[str] = []
        self.failures: list[str] = []

    def phase(self, name: str, state: str) -> None:
        """Of no interest here."""

    def progress(self, counters: Counters) -> None:
        """Of no interest here."""

    def failure(self, failure: FileFailure) -> None:
        """Keep the first few."""
        if len(self.failures) < 5:
            self.failures.append(f"{failure.path}: {failure.message}")

    def record(self, record: FileRecord) -> None:
        """Of no interest here."""

    def security(self, side: SideName, evidence: Evidence) -> None:
        """Keep the cipher."""
        self.ciphers.append(evidence.cipher)

    def server_side(self, fact: ServerSideFact) -> None:
        """Told by the counters as well."""


def endpoint(job: Job, side: Side) -> Endpoint:
    """A side as the engine wants it."""
    return Endpoint(
        server=job.server,
        port=job.port,
        share=side.share,
        path=f"/{side.path}",
        addresses=(job.address,),
        service_principal=f"cifs/{job.server}",
        principal=side.principal,
        ccache=side.ccache,
        krb5_config=job.krb5_config,
    )


def copy(job: Job, listener: Listener) -> Result:
    """Bring the destination to the state of the source."""
    options = Options(
        verify_mode=VerifyMode.ONLY_FILES_TRANSFERRED if job.verify else VerifyMode.NONE,
        security_descriptors=SecurityDescriptors.OWNER_DACL if job.descriptors else SecurityDescriptors.NONE,
        server_side_copy=ServerSideCopy.NEVER if job.stream else ServerSideCopy.AUTO,
    )
    ends = endpoint(job, job.source), endpoint(job, job.destination)
    return transfer(*ends, options, listener, cancelled=lambda: False)


def read(job: Job, listener: Listener) -> str:
    """Read the file and drop it; returns its BLAKE3 as hex."""
    connected = connect(endpoint(job, job.source))
    listener.ciphers.append(connected.evidence.cipher)
    driver = Driver([connected.channel])
    share = Share(connected.channel.lane, job.source.path.replace("/", "\\"))

    async def whole() -> str:
        file = await open_file(share, job.name)
        digest = await stream(driver.scheduler, file)
        file.close()
        return digest.hex()

    try:
        return driver.run(whole())
    finally:
        connected.channel.close()


def write(job: Job, listener: Listener) -> int:
    """Write the local file to the destination; returns how many bytes the server took."""
    connected = connect(endpoint(job, job.destination))
    listener.ciphers.append(connected.evidence.cipher)
    driver, lane = Driver([connected.channel]), connected.channel.lane
    share = Share(lane, job.destination.path.replace("/", "\\"))
    written = 0

    async def whole() -> None:
        (created,) = await lane.call(
            open_request(
                share.wire_path(job.name),
                access=Access.WRITE_DATA | Access.SYNCHRONIZE,
                disposition=Disposition.OVERWRITE_IF,
                options=CreateOption.NON_DIRECTORY_FILE,
            )
        )
        file_id = decode_create(check(created, "creating the file").message).file_id
        with Path(job.local).open("rb", buffering=0) as source:
            ranges = ranges_of(lane.write_limit, 0, job.size)

            async def strand() -> None:
                nonlocal written
                for offset, length in ranges:
                    buffer = lane.pool.take(WRITE_DATA_OFFSET + length)
                    source.seek(offset)
                    source.readinto(memoryview(buffer)[WRITE_DATA_OFFSET : WRITE_DATA_OFFSET + length])
                    (reply,) = await lane.write_in_place(buffer, file_id, offset, length, lane.pool)
                    written += decode_write(check(reply, "writing the file").message)

            await run_all(driver.scheduler, (strand() for _ in range(DEPTH)))
        (closed,) = await lane.call(close_request(file_id))
        check(closed, "closing the file")

    try:
        driver.run(whole())
    finally:
        connected.channel.close()
    return written


def main(job: Job) -> dict[str, object]:
    """Do the job; what it took.

    Raises:
        RuntimeError: it was not done whole.
    """
    listener = Listener()
    answer: dict[str, object] = {}
    started = time.perf_counter()
    if job.work is Work.READ:
        answer["digest"] = read(job, listener)
    elif job.work is Work.WRITE:
        written = write(job, listener)
        if written != job.size:
            raise RuntimeError(f"{job.size} bytes to write, the server took {written}")
    else:
        result = copy(job, listener)
        if result.outcome is not Outcome.SUCCEEDED:
            raise RuntimeError(f"{result.failures}: {'; '.join(listener.failures)}")
        if job.work is Work.RESCAN and result.counters.files.transferred:
            raise RuntimeError(f"{result.counters.files.transferred} files copied, none had changed")
        if job.by_server is not (result.counters.bytes.server_side > 0):
            raise RuntimeError(f"the server copied {result.counters.bytes.server_side} bytes by itself")
        answer["listed"] = result.counters.files.listed
    answer["seconds"] = time.perf_counter() - started
    answer["cipher"] = listener.ciphers[0]
    return answer


if __name__ == "__main__":
    json.dump(main(Job.from_json(sys.argv[1])), sys.stdout)
