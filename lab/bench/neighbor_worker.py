"""Somebody who works on the server beside a run: `python -m lab.bench.neighbor_worker JOB`.

Opens the job's file, reads 64 KiB of it and closes it, with smbprotocol's own client, again and again with a pause
between, until its standard input ends. What each took goes to standard output as JSON: [[at, seconds], ...], by the
machine's monotonic clock.
"""

from __future__ import annotations

import json
import select
import sys
import time

from lab.bench.job import Job
from lab.bench.smbprotocol_worker import Client, reach

READ_BYTES = 64 * 1024
PAUSE_SECONDS = 0.02
READY = "ready\n"


def main(job: Job) -> list[tuple[float, float]]:
    """Work until told to stop.

    Raises:
        RuntimeError: the file is shorter than what is read.
    """
    reach(job)
    client = Client(job, job.source)
    path = client.path(job.name)
    seen: list[tuple[float, float]] = []
    sys.stderr.write(READY)
    sys.stderr.flush()
    while not select.select([sys.stdin], [], [], PAUSE_SECONDS)[0]:
        began = time.monotonic()
        with client.open(path, "rb") as reader:
            data = reader.read(READ_BYTES)
        seen.append((began, time.monotonic() - began))
        if len(data) != READ_BYTES:
            raise RuntimeError(f"{READ_BYTES} bytes to read, {len(data)} were")
    return seen


if __name__ == "__main__":
    json.dump(main(Job.from_json(sys.argv[1])), sys.stdout)
    sys.stdout.flush()
