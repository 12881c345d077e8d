"""Two servers in memory and a run between them, for tests of whole runs."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lab.fake_server import (
    CHUNK,
    FakeServer,
    Link,
    Node,
    Personality,
    Request,
    drive,
    folder,
    make_session,
)

from smbferry_engine.errors import EngineError
from smbferry_engine.files.server_copy import ServerCopy
from smbferry_engine.model import (
    Counters,
    Endpoint,
    FileFailure,
    FileRecord,
    NotCarried,
    Options,
    RetryFact,
    ServerSideFact,
    SidFacts,
)
from smbferry_engine.operations.conduct import Asked, make_run
from smbferry_engine.operations.control import Control
from smbferry_engine.operations.transfer import execute
from smbferry_engine.plan.filters import Filters
from smbferry_engine.run.context import RunContext
from smbferry_engine.run.scope import WholeTree
from smbferry_engine.runtime.tasks import Scheduler
from smbferry_engine.session.reconnect import Recovery
from smbferry_engine.share.share import Share
from smbferry_engine.times import to_filetime
from smbferry_words.options import SecurityDescriptors
from smbferry_words.reasons import SESSION_ENDED

if TYPE_CHECKING:
    from datetime import datetime

    from smbferry_engine.run.resume import Handover

BIG = bytes(range(256)) * (5 * CHUNK // 256) + b"tail"


class Watcher:
    def __init__(self) -> None:
        self.failures: list[FileFailure] = []
        self.phases: list[tuple[str, str]] = []
        self.records: list[FileRecord] = []
        self.facts: list[ServerSideFact] = []
        self.retries: list[RetryFact | None] = []
        self.left: list[NotCarried] = []
        self.found_sids: SidFacts | None = None

    def phase(self, name: str, state: str) -> None:
        self.phases.append((name, state))

    def progress(self, counters: object) -> None:
        pass

    def failure(self, failure: FileFailure) -> None:
        self.failures.append(failure)

    def record(self, record: FileRecord) -> None:
        self.records.append(record)

    def not_carried(self, item: NotCarried) -> None:
        self.left.append(item)

    def sids(self, facts: SidFacts) -> None:
        self.found_sids = facts

    def security(self, side: str, evidence: object) -> None:
        pass

    def server_side(self, fact: ServerSideFact) -> None:
        self.facts.append(fact)

    def retrying(self, fact: RetryFact | None) -> None:
        self.retries.append(fact)


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
        self.links = [Link(server, make_session(credits_=credits_)) for server in (self.source, self.destination)]
        self.watcher = Watcher()
        self.run: RunContext | None = None
        self.server_copy: ServerCopy | None = None
        self.snapshot: datetime | None = None  # of the source, to be read
        self.handover: Handover | None = None  # from an earlier agent
        self.restored = 0

    def transfer(self, **options: object) -> RunContext:
        run = self.prepare(**options)
        drive(self.scheduler, execute(run), *self.links)
        return run

    def execution(self) -> Coroutine[Any, None, None]:
        """What a prepared run does."""
        assert self.run is not None
        return execute(self.run)

    def prepare(self, **options: object) -> RunContext:
        chosen = Options(**{"security_descriptors": SecurityDescriptors.NONE, **options})  # type: ignore[arg-type]
        counters = Counters()
        self.run = make_run(
            [
                Share(self.links[0].session, "data", 0 if self.snapshot is None else to_filetime(self.snapshot)),
                Share(self.links[1].session, "copy"),
            ],
            Asked(chosen, Filters(chosen.include, chosen.exclude, chosen.selection), self.watcher, WholeTree()),
            control=Control(handover=self.handover),
            scheduler=self.scheduler,
            recovery=Recovery(self.scheduler, counters, self.broken, self.restore),
            counters=counters,
            server_copy=self.server_copy,
        )
        return self.run

    def broken(self) -> bool:
        return not all(link.session.usable for link in self.links)

    def restore(self) -> None:
        assert self.run is not None
        self.restored += 1
        for link, share in zip(self.links, (self.run.source, self.run.destination), strict=True):
            if not link.session.usable:
                link.session.fail(EngineError(SESSION_ENDED, "again"))
                last = link.session
                link.renew(make_session())
                link.session.follow(last)
                share.session = link.session

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
