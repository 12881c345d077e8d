"""Two servers in memory and a run between them, for tests of whole runs."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from tests.unit.engine.fake_server import (
    CHUNK,
    FakeServer,
    Link,
    Node,
    Personality,
    Request,
    drive,
    folder,
    make_lane,
)

from smbferry_engine.core.tasks import Scheduler
from smbferry_engine.errors import SESSION_ENDED, EngineError
from smbferry_engine.filters import Filters
from smbferry_engine.model import (
    Counters,
    Endpoint,
    FileFailure,
    FileRecord,
    Options,
    SecurityDescriptors,
    ServerSideFact,
)
from smbferry_engine.progress import Limiter
from smbferry_engine.recovery import Recovery
from smbferry_engine.run import Run
from smbferry_engine.server_copy import ServerCopy
from smbferry_engine.share import Share
from smbferry_engine.transfer import execute

BIG = bytes(range(256)) * (5 * CHUNK // 256) + b"tail"


class Watcher:
    def __init__(self) -> None:
        self.failures: list[FileFailure] = []
        self.phases: list[tuple[str, str]] = []
        self.records: list[FileRecord] = []
        self.facts: list[ServerSideFact] = []

    def phase(self, name: str, state: str) -> None:
        self.phases.append((name, state))

    def progress(self, counters: object) -> None:
        pass

    def failure(self, failure: FileFailure) -> None:
        self.failures.append(failure)

    def record(self, record: FileRecord) -> None:
        self.records.append(record)

    def security(self, side: str, evidence: object) -> None:
        pass

    def server_side(self, fact: ServerSideFact) -> None:
        self.facts.append(fact)


class World:
    """A source, a destination and a run between them; `personalities` are those of the two servers."""

    def __init__(
        self,
        source: Node,
        destination: Node | None = None,
        *,
        credits_: int = 64,
        personalities: tuple[Personality | None, Personality | None] = (None, None),
    ) -> None:
        self.source = FakeServer(folder(data=source), personality=personalities[0])
        self.destination = FakeServer(folder(copy=destination or folder()), personality=personalities[1])
        self.scheduler = Scheduler()
        self.links = [Link(server, make_lane(credits_=credits_)) for server in (self.source, self.destination)]
        self.watcher = Watcher()
        self.run: Run | None = None
        self.server_copy: ServerCopy | None = None
        self.restored = 0

    def transfer(self, **options: object) -> Run:
        run = self.prepare(**options)
        drive(self.scheduler, execute(run), *self.links)
        return run

    def execution(self) -> Coroutine[Any, None, None]:
        """What a prepared run does."""
        assert self.run is not None
        return execute(self.run)

    def prepare(self, **options: object) -> Run:
        chosen = Options(**{"security_descriptors": SecurityDescriptors.NONE, **options})  # type: ignore[arg-type]
        counters = Counters()
        self.run = Run(
            source=Share(self.links[0].lane, "data"),
            destination=Share(self.links[1].lane, "copy"),
            options=chosen,
            filters=Filters(chosen.include, chosen.exclude),
            observer=self.watcher,
            scheduler=self.scheduler,
            limiter=Limiter(self.scheduler, lambda: chosen.bytes_per_second),
            recovery=Recovery(self.scheduler, counters, self.broken, self.restore),
            counters=counters,
            server_copy=self.server_copy,
        )
        return self.run

    def broken(self) -> bool:
        return not all(link.lane.usable for link in self.links)

    def restore(self) -> None:
        assert self.run is not None
        self.restored += 1
        for link, share in zip(self.links, (self.run.source, self.run.destination), strict=True):
            if not link.lane.usable:
                link.lane.fail(EngineError(SESSION_ENDED, "again"))
                last = link.lane
                link.renew(make_lane())
                link.lane.follow(last)
                share.lane = link.lane

    @property
    def copied(self) -> dict[str, bytes | None]:
        return self.destination.tree(self.destination.root.children["copy"])

    @property
    def original(self) -> dict[str, bytes | None]:
        return self.source.tree(self.source.root.children["data"])

    def node(self, path: str) -> Node:
        found = self.destination.find("copy\\" + path)
        assert found is not None
        return found

    @property
    def reasons(self) -> list[tuple[str, str]]:
        return [(failure.path, failure.reason) for failure in self.watcher.failures]


def refuse(command: int, status: int, *, name: str = "", times: int = 1_000) -> Callable[[Request], int | None]:
    left = [times]

    def fault(request: Request) -> int | None:
        if request.command == command and left[0] and (not name or name in (request.name or "")):
            left[0] -= 1
            return status
        return None

    return fault


class OneServer(World):
    """Both sides on one server, which may copy by itself."""

    def __init__(self, source: Node, destination: Node | None = None) -> None:
        super().__init__(source)
        server = FakeServer(folder(data=source, copy=destination or folder()))
        self.source = self.destination = server
        self.links = [Link(server), Link(server)]
        self.server_copy = ServerCopy(end("src"), end("dst"), self.watcher.server_side)


def end(share: str, **changes: object) -> Endpoint:
    """A side as a location names it."""
    made = Endpoint(
        server="files.corp.example.com",
        port=445,
        share=share,
        path="/",
        addresses=("192.0.2.1",),
        service_principal="cifs/files.corp.example.com",
        principal="svc@CORP.EXAMPLE.COM",
        ccache="FILE:/nowhere",
        krb5_config="/nowhere",
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # the tests name the fields
