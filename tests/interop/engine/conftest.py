"""The domain, tickets for the lab's users, and a pair of folders for each test."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from lab.support.domain.domain import Domain
from lab.support.domain.file_server import FileServer
from lab.support.domain.member import Member
from lab.support.domain.trees import Wanted
from tests.interop.engine.support import READER_GROUPS, WRITER_GROUPS, Bench
from tests.interop.engine.tickets import Tickets
from tests.support.options_table import BESIDE, OTHERS, SWITCHES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.domain.machine import Directory, Machine


# Tests of the options run on shares that let everyone do everything, and on those that have real access lists.
SHARES = {"dc1": ("src", "dst"), "fs1": ("acl-src", "acl-dst")}
ON_BOTH = {test for table in (SWITCHES, OTHERS) for tests in table.values() for test in tests}
ON_BOTH |= {test for row in ("empty files and folders", "counters") for test in BESIDE[row]}
# Somebody else has the file open, or writes to it.
ON_BOTH |= {
    "test_a_file_that_another_program_holds_is_recorded_and_the_others_are_copied",
    "test_a_file_that_is_held_for_a_moment_is_waited_for",
    "test_a_run_that_is_cancelled_while_files_wait_ends_at_once",
    "test_a_source_that_changes_while_it_is_copied_never_lands_torn",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test of the options table runs on either server."""
    if metafunc.function.__name__ in ON_BOTH:
        metafunc.parametrize("host", SHARES, indirect=True)


@pytest.fixture(scope="session")
def domain() -> Domain:
    return Domain.from_environment()


@pytest.fixture(scope="session")
def member(domain: Domain) -> Member:
    return Member.from_environment(domain)


@pytest.fixture(scope="session")
def tickets(domain: Domain, member: Member, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tickets]:
    scratch = tmp_path_factory.mktemp("tickets")
    with (
        domain.user(*READER_GROUPS, prefix="engine") as reader,
        domain.user(*WRITER_GROUPS, prefix="engine") as writer,
    ):
        yield Tickets(domain, member, scratch, reader, writer)


@pytest.fixture(scope="session")
def beside(domain: Domain, member: Member) -> Iterator[dict[str, tuple[Directory, ...]]]:
    """Of each server a folder in each share that no run is about: what is in it stays as it is."""
    with contextlib.ExitStack() as stack:
        found = {}
        for machine, (host, shares) in zip((domain, member), SHARES.items(), strict=True):
            found[host] = tuple(stack.enter_context(machine.directory(share)) for share in shares)
            for directory in found[host]:
                directory.seed([Wanted("folder/file", size=100), Wanted("large", size=100_000)])
        yield found


@pytest.fixture
def host(request: pytest.FixtureRequest) -> str:
    """The file server: the domain controller, unless the test is one that runs on both."""
    return str(getattr(request, "param", "dc1"))


@pytest.fixture
def machine(host: str, domain: Domain, member: Member) -> Machine:
    """The container of that file server."""
    return {"dc1": domain, "fs1": member}[host]


@pytest.fixture
def bench(host: str, machine: Machine, tickets: Tickets, beside: dict[str, tuple[Directory, ...]]) -> Iterator[Bench]:
    ours, theirs = SHARES[host]
    with machine.directory(ours) as source, machine.directory(theirs) as destination:
        yield Bench(tickets, source, destination, beside[host])


@pytest.fixture
def server(domain: Domain) -> Iterator[FileServer]:
    """A file server that only this test uses."""
    with FileServer(domain).running() as running:
        yield running
