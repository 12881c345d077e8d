"""One job for one client, as plain values; also what the workers are given as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Self

from lab.bench.cases import Work


@dataclass(frozen=True, slots=True)
class Side:
    """One share as one user: `path` is inside the share, without a slash at its ends."""

    share: str
    path: str
    principal: str
    ccache: str


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done. `address` and `port` are where the server is reached: itself, or the proxy that delays.

    `local` is a file in memory with the source's one file, `scratch` a folder in memory that may be filled. `name` is
    the file of a job with one file, empty for trees. `size` is its length in bytes.
    `show` writes what is read to standard output instead of dropping it. `stream` is for a copy that the server could
    do by itself and shall not; `by_server` for one that it shall. With a `latency_factor` above 0 it gives way to
    others. `ignore_attachments` leaves streams and extended attributes alone.
    """

    work: Work
    server: str
    address: str
    port: int
    krb5_config: str
    source: Side
    destination: Side
    name: str
    size: int
    local: str
    scratch: str
    verify: bool = False
    descriptors: bool = False
    show: bool = False
    stream: bool = False
    by_server: bool = False
    latency_factor: float = 0.0
    ignore_attachments: bool = False

    def to_json(self) -> str:
        """As one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """From what :meth:`to_json` gave."""
        value = json.loads(text)
        value |= {"work": Work(value["work"]), "source": Side(**value["source"])}
        value["destination"] = Side(**value["destination"])
        return cls(**value)
