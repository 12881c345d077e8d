"""A tree of which 1 % is denied to the account by its access lists, and 20 files are held by another program."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from lab.support.domain.member import BACKUP_OPERATORS, READERS, WRITERS, Member
from lab.support.domain.trees import Wanted, differences
from tests.interop.engine.support import held_by
from tests.interop.engine.tickets import Watcher

from smbferry_engine import Endpoint, FileReason, Options, Outcome, Result, RetryFact, RetryLocked, transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.support.domain.domain import Domain, User
    from lab.support.domain.machine import Directory
    from tests.interop.engine.tickets import Tickets

pytestmark = pytest.mark.takes(20)

FILES = [f"d{number % 20}/f{number}" for number in range(2_000)]
DENIED = FILES[::100]
HELD = FILES[50::100]
NOBODY = "O:{Domain Admins}G:{Domain Users}D:PAI(A;;0x1f01ff;;;{Domain Admins})"
ADMINS = (
    "O:{Domain Admins}G:{Domain Users}D:PAI(A;OICI;0x1f01ff;;;{Domain Admins})(A;OICI;0x1200a9;;;{" + READERS + "})"
)


class Scene:
    """The tree, the accounts of docs/how-to/least-privilege.md, and somebody who holds files of it."""

    def __init__(self, tickets: Tickets, ends: tuple[Directory, Directory], users: tuple[User, User, User]) -> None:
        self._tickets = tickets
        self.source, self.destination = ends
        self._reader, self._writer, self._holder = users

    def _end(self, directory: Directory, user: User) -> Endpoint:
        return self._tickets.endpoint(directory.share, directory.path, user=user)

    @contextmanager
    def held(self) -> Iterator[None]:
        """The files that are held, by an account that may read them."""
        with held_by(self._end(self.source, self._holder), *(self.wire(path) for path in HELD)):
            yield

    def wire(self, path: str) -> str:
        return f"{self.source.name}\\" + path.replace("/", "\\")

    def copy(
        self, *, on_retry: Callable[[RetryFact | None], None] = lambda _fact: None, snapshot: datetime | None = None,
        **options: Any,
    ) -> tuple[Result, Watcher]:  # fmt: skip
        watcher = Watcher(on_retry=on_retry)
        chosen = Options(**{"retry_locked": RetryLocked(attempts=0), **options})
        source = replace(self._end(self.source, self._reader), snapshot=snapshot)
        ends = source, self._end(self.destination, self._writer)
        return transfer(*ends, chosen, watcher), watcher


@pytest.fixture
def scene(domain: Domain, member: Member, tickets: Tickets) -> Iterator[Scene]:
    with ExitStack() as stack:
        source = stack.enter_context(member.directory("acl-src"))
        destination = stack.enter_context(member.directory("acl-dst"))
        users = [
            stack.enter_context(domain.user(*groups, prefix="held"))
            for groups in ((READERS, BACKUP_OPERATORS), (WRITERS, BACKUP_OPERATORS), (READERS,))
        ]
        source.seed([Wanted(path, size=100 + number) for number, path in enumerate(FILES)])
        member.describe(source, {"": ADMINS, **dict.fromkeys(DENIED, NOBODY)})
        yield Scene(tickets, (source, destination), (users[0], users[1], users[2]))


@pytest.mark.fault(157)
def test_from_a_snapshot_everything_arrives_as_it_was_then(scene: Scene, member: Member) -> None:
    before = scene.source.tree()
    moment = datetime(2190, 1, 1, tzinfo=UTC)
    with member.snapshot(scene.source, moment), scene.held():
        scene.source.seed([Wanted(FILES[7], size=5, version=1), Wanted("newer", size=1)])
        result, watcher = scene.copy(snapshot=moment)
    assert (result.outcome, watcher.failures, watcher.left) == (Outcome.SUCCEEDED, [], [])
    assert differences(before, scene.destination.tree(), times=True) == []


def test_what_is_let_go_of_within_the_retries_arrives(scene: Scene) -> None:
    with ExitStack() as holding:
        holding.enter_context(scene.held())

        def let_go(fact: RetryFact | None) -> None:
            if fact is not None and fact.attempt == 2:
                assert fact.files == len(HELD)
                holding.close()

        result, watcher = scene.copy(on_retry=let_go, retry_locked=RetryLocked(attempts=3, interval=2.0))
    assert (result.outcome, watcher.failures, watcher.left) == (Outcome.SUCCEEDED, [], [])
    assert differences(scene.source.tree(), scene.destination.tree(), times=True) == []


@pytest.mark.fault(157)
def test_what_nobody_lets_go_of_is_named_to_the_last_file_and_mended_by_the_next_run(scene: Scene) -> None:
    with scene.held():
        result, watcher = scene.copy(retry_locked=RetryLocked(attempts=1, interval=1.0))
    assert result.outcome is Outcome.PARTIALLY_SUCCEEDED
    assert watcher.reasons == {f"/{path}": FileReason.SHARING_VIOLATION for path in HELD}
    assert result.counters.files.transferred == len(FILES) - len(HELD)
    result, watcher = scene.copy()
    assert (result.outcome, watcher.failures) == (Outcome.SUCCEEDED, [])
    assert result.counters.files.transferred == len(HELD)
    assert differences(scene.source.tree(), scene.destination.tree(), times=True) == []
