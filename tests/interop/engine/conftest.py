"""The domain, tickets for the lab's users, and a pair of folders for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.interop.engine.support import Bench, Tickets
from tests.support.domain import Directory, Domain
from tests.support.file_server import FileServer
from tests.support.trees import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def domain() -> Domain:
    return Domain.from_environment()


@pytest.fixture(scope="session")
def tickets(domain: Domain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tickets]:
    scratch = tmp_path_factory.mktemp("tickets")
    with (
        domain.user("src-readers", prefix="engine") as reader,
        domain.user("dst-writers", "Backup Operators", prefix="engine") as writer,
    ):
        yield Tickets(domain, scratch, reader, writer)


@pytest.fixture(scope="session")
def beside(domain: Domain) -> Iterator[tuple[Directory, ...]]:
    """A folder in each share that no run is about: what is in it stays as it is."""
    with domain.directory("src") as source, domain.directory("dst") as destination:
        for directory in (source, destination):
            directory.seed([Wanted("folder/file", size=100), Wanted("large", size=100_000)])
        yield source, destination


@pytest.fixture
def bench(domain: Domain, tickets: Tickets, beside: tuple[Directory, ...]) -> Iterator[Bench]:
    with domain.directory("src") as source, domain.directory("dst") as destination:
        yield Bench(tickets, source, destination, beside)


@pytest.fixture
def server(domain: Domain) -> Iterator[FileServer]:
    """A file server that only this test uses."""
    with FileServer(domain).running() as running:
        yield running
