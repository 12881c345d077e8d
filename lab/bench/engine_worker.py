"""The engine's part of the bench, in a process of its own: `python -m lab.bench.engine_worker JOB`.

Copies go through the public `transfer`; reading alone and writing alone use the same sessions, chunks and depth as
that. The time runs from before the connections are made to the last reply; what it took goes to standard output as
JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab.bench.cases import BY_DESCRIPTOR, IN_PLACE, Work
from lab.bench.job import Job, Side

from smbferry_engine import (
    CompareBy,
    Endpoint,
    ExtendedAttributes,
    Options,
    Outcome,
    PhaseName,
    PhaseState,
    Politeness,
    SecurityDescriptors,
    ServerSideCopy,
    Streams,
    VerifyMode,
    survey_source,
    transfer,
)
from smbferry_engine.core.calls import close_request, open_request
from smbferry_engine.files.pump import DEPTH, ranges_of, stream
from smbferry_engine.runtime.group import run_all
from smbferry_engine.session.connect import connect
from smbferry_engine.session.driver import Driver
from smbferry_engine.share.reading import open_file
from smbferry_engine.share.replies import check
from smbferry_engine.share.share import Share
from smbferry_engine.wire.create import Access, CreateOption, Disposition, decode_create
from smbferry_engine.wire.data import WRITE_DATA_OFFSET, decode_write
from smbferry_words.survey import Basis

if TYPE_CHECKING:
    from smbferry_engine import (
        Counters,
        Evidence,
        FileFailure,
        FileRecord,
        NotCarried,
        Result,
        RetryFact,
        ServerSideFact,
        SideName,
        SidFacts,
        Survey,
    )


class Listener:
    """An observer that keeps what protects the sides, and the first failures."""

    def __init__(self) -> None:
        self.ciphers: list[str] = []
        self.failures: list[str] = []
        self.copying_since = 0.0

    def phase(self, name: str, state: str) -> None:
        """Keep when the copying began, by the clock of the machine."""
        if (name, state) == (PhaseName.TRANSFER, PhaseState.RUNNING):
            self.copying_since = time.monotonic()

    def progress(self, counters: Counters) -> None:
        """Of no interest here."""

    def failure(self, failure: FileFailure) -> None:
        """Keep the first few."""
        if len(self.failures) < 5:
            self.failures.append(f"{failure.path}: {failure.message}")

    def record(self, record: FileRecord) -> None:
        """Of no interest here."""

    def not_carried(self, item: NotCarried) -> None:
        """Of no interest here."""

    def sids(self, facts: SidFacts) -> None:
        """Of no interest here."""

    def security(self, side: SideName, evidence: Evidence) -> None:
        """Keep the cipher."""
        self.ciphers.append(evidence.cipher)

    def server_side(self, fact: ServerSideFact) -> None:
        """Told by the counters as well."""

    def retrying(self, fact: RetryFact | None) -> None:
        """Nobody else opens the bench's files."""


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
    options = options_of(job)
    ends = endpoint(job, job.source), endpoint(job, job.destination)
    return transfer(*ends, options, listener)


def forecast(job: Job, listener: Listener) -> float:
    """How long a survey says that :func:`copy` will take, in seconds.

    Raises:
        RuntimeError: it has no forecast of copying.
    """
    found = survey(job, listener, endpoint(job, job.destination)).forecast
    if found is None or found.basis is not Basis.COPY:
        raise RuntimeError(f"a forecast of copying expected, found {found}")
    return found.first


def survey(job: Job, listener: Listener, destination: Endpoint | None) -> Survey:
    """Look through the source; with a destination, samples are copied there."""
    return survey_source(endpoint(job, job.source), destination, options_of(job), listener)


def options_of(job: Job) -> Options:
    """The engine's options for a job."""
    return Options(
        streams=Streams.IGNORE if job.ignore_attachments else Streams.COPY,
        extended_attributes=ExtendedAttributes.IGNORE if job.ignore_attachments else ExtendedAttributes.COPY,
        compare_by=CompareBy.METADATA if job.work in BY_DESCRIPTOR else CompareBy.SIZE_AND_TIME,
        verify_mode=VerifyMode.ONLY_FILES_TRANSFERRED if job.verify else VerifyMode.NONE,
        security_descriptors=SecurityDescriptors.OWNER_DACL if job.descriptors else SecurityDescriptors.NONE,
        politeness=Politeness(job.latency_factor) if job.latency_factor else None,
        server_side_copy=ServerSideCopy.NEVER if job.stream else ServerSideCopy.AUTO,
    )


def judge(job: Job, counters: Counters) -> None:
    """Raises RuntimeError if what was done is not what was to be done."""
    changed = 1 if job.work is Work.MEND else 0
    if job.work in IN_PLACE and (counters.files.transferred, counters.bytes.transferred) != (changed, 0):
        raise RuntimeError(
            f"{counters.files.transferred} files changed and {counters.bytes.transferred} bytes read, "
            f"{changed} files and no bytes expected"
        )
    if job.by_server is not (counters.bytes.server_side > 0):
        raise RuntimeError(f"the server copied {counters.bytes.server_side} bytes by itself")


def read(job: Job, listener: Listener) -> str:
    """Read the file and drop it; returns its BLAKE3 as hex."""
    connected = connect(endpoint(job, job.source))
    listener.ciphers.append(connected.evidence.cipher)
    driver = Driver([connected.channel])
    share = Share(connected.channel.session, job.source.path.replace("/", "\\"))

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
    driver, session = Driver([connected.channel]), connected.channel.session
    share = Share(session, job.destination.path.replace("/", "\\"))
    written = 0

    async def whole() -> None:
        (created,) = await session.call(
            open_request(
                share.wire_path(job.name),
                access=Access.WRITE_DATA | Access.SYNCHRONIZE,
                disposition=Disposition.OVERWRITE_IF,
                options=CreateOption.NON_DIRECTORY_FILE,
            )
        )
        file_id = decode_create(check(created, "creating the file").message).file_id
        with Path(job.local).open("rb", buffering=0) as source:
            ranges = ranges_of(session.write_limit, 0, job.size)

            async def strand() -> None:
                nonlocal written
                for offset, length in ranges:
                    buffer = session.pool.take(WRITE_DATA_OFFSET + length)
                    source.seek(offset)
                    source.readinto(memoryview(buffer)[WRITE_DATA_OFFSET : WRITE_DATA_OFFSET + length])
                    (reply,) = await session.write_in_place(buffer, file_id, offset, length, session.pool)
                    written += decode_write(check(reply, "writing the file").message)

            await run_all(driver.scheduler, (strand() for _ in range(DEPTH)))
        (closed,) = await session.call(close_request(file_id))
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
    if job.work is Work.FORECAST:
        answer["forecast"] = forecast(job, listener)
    started = time.perf_counter()
    if job.work is Work.READ:
        answer["digest"] = read(job, listener)
    elif job.work is Work.SURVEY:
        answer["listed"] = survey(job, listener, None).tree.files
    elif job.work is Work.WRITE:
        written = write(job, listener)
        if written != job.size:
            raise RuntimeError(f"{job.size} bytes to write, the server took {written}")
    else:
        result = copy(job, listener)
        if result.outcome is not Outcome.SUCCEEDED:
            raise RuntimeError(f"{result.failures}: {'; '.join(listener.failures)}")
        judge(job, result.counters)
        answer["listed"] = result.counters.files.listed
        answer["copying"] = [listener.copying_since, time.monotonic()]
    answer["seconds"] = time.perf_counter() - started
    answer["cipher"] = listener.ciphers[0]
    return answer


if __name__ == "__main__":
    json.dump(main(Job.from_json(sys.argv[1])), sys.stdout)
