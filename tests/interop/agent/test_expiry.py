"""Tickets that end while their run goes on: sessions are renewed, or the next one goes on where the last one was.

Only the first ticket of each side lives short, and the copy is slow until what is to happen has happened: a machine
that is busy makes it later, and changes nothing else.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import krb5
import pytest
from lab.support.domain.trees import Wanted

from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos import libkrb5, renewal
from smbferry_agent.report.run_report import RunReport
from smbferry_api.agent_contract import Side
from smbferry_api.exit_codes import ExitCode
from smbferry_engine.core.calls import Call
from smbferry_engine.core.session import Session
from smbferry_engine.core.sizes import LARGEST
from smbferry_engine.files.gather import LargeCopy
from smbferry_engine.files.pump import DEPTH
from smbferry_engine.run.limiter import Limiter
from smbferry_engine.session import pair, reconnect
from smbferry_engine.session.connect import connect
from smbferry_engine.wire.status import NtStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lab.support.domain.domain import Domain
    from lab.support.domain.machine import Directory
    from tests.interop.agent.scene import Scene

    from smbferry_agent.kerberos.facts import Ticket
    from smbferry_engine.core.calls import Reply
    from smbferry_engine.files.commit import Copied
    from smbferry_engine.model import Endpoint
    from smbferry_engine.runtime.tasks import Scheduler
    from smbferry_engine.session.connect import Connected

pytestmark = pytest.mark.takes(60)

LIFE = 8  # seconds
LARGE = "large.bin"
SIZE, SLOW = 100_000_000, 2_000_000
UNDER_WAY = DEPTH * (LARGEST // 4)  # bytes that are asked for at once
LONG = 60  # seconds that nothing but waiting for what never comes can take


class ShortLives:
    """Makes the first ticket of each principal end after LIFE seconds; its later ones live as the KDC has it.

    Those come once sessions have ``begun``, so that each session begins by a ticket that ends.

    Samba's KDC serves nobody by a ticket-granting ticket of less than two minutes, so the ticket for the file server is
    asked for directly, by the key, and put beside it.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._folder = folder
        self._initial, self._service = libkrb5.initial_ticket, libkrb5.service_ticket
        self._keys: dict[Path, tuple[str, Path]] = {}
        self._seen: set[str] = set()
        self.begun: Callable[[], bool] = lambda: True  # whether later tickets may come
        self.issued: Callable[[str], object] = lambda _principal: None
        monkeypatch.setattr(libkrb5, "initial_ticket", self._initial_ticket)
        monkeypatch.setattr(libkrb5, "service_ticket", self._service_ticket)

    def _initial_ticket(
        self, config: Path, principal: str, keytab: Path, etypes: Sequence[int], ccache: Path
    ) -> Ticket:
        until = time.monotonic() + LONG
        while principal in self._seen and not self.begun() and time.monotonic() < until:
            time.sleep(0.05)
        ticket = self._initial(config, principal, keytab, etypes, ccache)
        if principal in self._seen:
            return ticket
        self._seen.add(principal)
        copy = self._folder / f"{principal}.keytab"
        copy.write_bytes(keytab.read_bytes())
        self._keys[ccache] = principal, copy
        return dataclasses.replace(ticket, end_time=ticket.start_time + timedelta(seconds=LIFE))

    def _service_ticket(self, config: Path, ccache: Path, target: str) -> Ticket:
        if ccache not in self._keys:
            return self._service(config, ccache, target)
        principal, keytab = self._keys.pop(ccache)
        alone = self._folder / f"{principal}.ccache"
        for cache, words in ((ccache, []), (alone, ["-S", target])):
            subprocess.run(
                ["kinit", "-l", f"{LIFE}s", "-c", f"FILE:{cache}", "-k", "-t", keytab, *words, principal],
                env={**os.environ, "KRB5_CONFIG": str(config)}, check=True, timeout=30,
            )  # fmt: skip
        context = krb5.init_context()
        both = krb5.cc_resolve(context, f"FILE:{ccache}".encode())
        for credentials in krb5.cc_resolve(context, f"FILE:{alone}".encode()):
            krb5.cc_store_cred(context, both, credentials)
        self.issued(principal)
        return libkrb5._find(ccache, target)


@dataclasses.dataclass
class Traffic:
    """What a run does on the wire: the sessions it opens and renews, by principal, and the bytes it asks to read.

    ``turned_away`` tells how many requests ended because a ticket had. A write of content can't be sent again, as it is
    encrypted where it lies, so the file goes on where it was: ``attempts`` tells how often it was begun. ``late`` are
    the renewals of sessions that their server had already ended. The copy is slow until there is ``enough``.
    """

    opened: list[str] = dataclasses.field(default_factory=list)
    renewed: list[str] = dataclasses.field(default_factory=list)
    read: dict[str, int] = dataclasses.field(default_factory=dict)
    turned_away: int = 0
    attempts: int = 0
    late: int = 0
    renewable: bool = True
    enough: Callable[[], bool] = bool  # never

    def all_have(self, what: list[str], times: int) -> bool:
        """Whether the principals of both sides are there so many times."""
        return self.begun() and all(what.count(one) >= times for one in set(self.opened))

    def begun(self) -> bool:
        """Whether both sides have a session."""
        return len(set(self.opened)) == 2


@pytest.fixture
def traffic(monkeypatch: pytest.MonkeyPatch, lives: ShortLives) -> Traffic:
    seen = Traffic()
    lives.begun = seen.begun
    whose: dict[Session, str] = {}
    read, renewed, answer, copying = Session.read, Session.renewed, Call.answer, LargeCopy.run
    limited = Limiter.__init__

    def limiting(limiter: Limiter, scheduler: Scheduler, limit: Callable[[], int | None]) -> None:
        limited(limiter, scheduler, lambda: None if seen.enough() else limit())

    def opening(endpoint: Endpoint, **arguments: Any) -> Connected:
        connected = connect(endpoint, **arguments)
        seen.opened.append(endpoint.principal)
        whose[connected.channel.session] = endpoint.principal
        if not seen.renewable:
            connected.channel.leave_session()
        return connected

    def reading(session: Session, file_id: bytes, offset: int, length: int) -> Call:
        if session in whose:
            seen.read[whose[session]] = seen.read.get(whose[session], 0) + length
        return read(session, file_id, offset, length)

    def renewing(session: Session) -> None:
        seen.renewed.append(whose[session])
        seen.late += session.expired
        renewed(session)

    def answering(call: Call, index: int, reply: Reply) -> None:
        seen.turned_away += reply.status == NtStatus.NETWORK_SESSION_EXPIRED
        answer(call, index, reply)

    async def attempting(copy: LargeCopy) -> Copied:
        seen.attempts += copy._path == LARGE
        return await copying(copy)

    monkeypatch.setattr("smbferry_engine.session.pair.connect", opening)
    monkeypatch.setattr("smbferry_engine.session.connect.connect", opening)
    monkeypatch.setattr(Call, "answer", answering)
    monkeypatch.setattr(LargeCopy, "run", attempting)
    monkeypatch.setattr(Limiter, "__init__", limiting)
    monkeypatch.setattr(Session, "read", reading)
    monkeypatch.setattr(Session, "renewed", renewing)
    return seen


@pytest.fixture
def lives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ShortLives:
    return ShortLives(monkeypatch, tmp_path)


@pytest.fixture
def slow(scene: Scene, lives: ShortLives) -> Scene:  # the lives make it slow
    """A run that takes far longer than its first tickets live, unless it is let go."""
    scene.source.seed([Wanted(LARGE, size=SIZE)])
    scene.options = {"bytesPerSecond": str(SLOW)}
    return scene


@pytest.mark.fault(19)
def test_a_run_outlives_its_tickets_on_the_sessions_that_it_began_with(slow: Scene, traffic: Traffic) -> None:
    traffic.enough = lambda: traffic.all_have(traffic.renewed, 1)
    assert slow.run() is ExitCode.DONE
    goes_on_in_its_sessions(slow, traffic)


@pytest.mark.fault(19)
def test_a_session_that_is_renewed_too_late_goes_on_and_leaves_nothing(
    slow: Scene, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smbferry_engine.session.renewal._AT", 1.5)  # after the ticket's end
    traffic.enough = lambda: traffic.all_have(traffic.renewed, 1)
    assert slow.run() is ExitCode.DONE
    assert traffic.late, "a server has refused"
    goes_on_in_its_sessions(slow, traffic)


def goes_on_in_its_sessions(slow: Scene, traffic: Traffic) -> None:
    assert content(slow.source) == content(slow.destination)
    for identity in slow.identities.values():
        assert traffic.opened.count(identity.principal) == 1
        assert traffic.renewed.count(identity.principal) == 1
    everything = sum(entry.size for entry in slow.source.tree().values())
    begun_again = traffic.attempts - 1
    assert begun_again <= traffic.turned_away <= len(traffic.renewed) * DEPTH, (
        "the file is begun again for nothing else"
    )
    # What is under way when a file is begun again: each range, the one after it, and the first one is a large one.
    lost = begun_again * (2 * UNDER_WAY + LARGEST)
    written = slow.status()["counters"]["bytes"]["written"]
    # A write that waits for the renewal may arrive behind one that was refused, and is then done again with it.
    again = begun_again * UNDER_WAY
    assert everything - lost <= written <= everything + again, "nothing was written twice, but for what was under way"
    reader = slow.identities[Side.SOURCE].principal
    assert traffic.read[reader] <= everything + lost, "nor read, but for what was under way"


@pytest.mark.fault(19)
def test_where_sessions_are_not_renewed_the_next_one_goes_on_where_the_last_one_was(
    slow: Scene, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samba renews sessions and can't be told not to: what asks it to is taken out, and each session ends."""
    traffic.renewable = False
    traffic.enough = lambda: traffic.all_have(traffic.opened, 2)
    # As with tickets of hours: most of its life is before a ticket by which a session begins, and pauses are short.
    monkeypatch.setattr(renewal, "_AT", 0.3)
    monkeypatch.setattr(reconnect, "PAUSES", (0.1,) * 20)
    assert slow.run() is ExitCode.DONE
    assert content(slow.source) == content(slow.destination)
    for identity in slow.identities.values():
        assert traffic.opened.count(identity.principal) > 1, "its session ended, and another one went on"
    lost = len(traffic.opened) * UNDER_WAY
    again = traffic.read[slow.identities[Side.SOURCE].principal] - SIZE
    assert again < lost, "of the source, only what was under way is read again"


@pytest.mark.fault(19)
def test_tickets_that_can_not_be_renewed_end_the_run_with_a_reason_and_the_next_goes_on(
    slow: Scene, lives: ShortLives, domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = (0.2, 0.5, 1.0)
    monkeypatch.setattr(reconnect, "PAUSES", pauses)
    monkeypatch.setattr("smbferry_engine.session.renewal._PATIENCE", 3.0)  # no later ticket will come
    monkeypatch.setattr(pair, "RECONNECT_DEADLINE", LONG / 4)  # what a busy machine takes is not the server's silence
    identity = slow.identities[Side.DESTINATION]
    name = identity.principal.partition("@")[0]
    lives.issued = lambda principal: principal == identity.principal and domain.set_password(name)
    began = time.monotonic()
    with pytest.raises(AgentError) as raised:
        slow.run()
    assert time.monotonic() - began < LIFE + sum(pauses) + LONG, "no longer than it takes to try again"
    assert raised.value.reason.name == "TicketExpired"
    assert LARGE not in slow.destination.tree()

    slow.options, slow.report = {}, RunReport()
    lives.issued = lambda _principal: None
    identity.keytab(domain.export_keytab(name))
    assert slow.run() is ExitCode.DONE
    assert content(slow.source) == content(slow.destination)
    assert slow.status()["counters"]["bytes"]["written"] < SIZE, "it went on in what was there"


def content(directory: Directory) -> dict[str, tuple[str, int, str | None]]:
    return {path: (entry.kind, entry.size, entry.sha256) for path, entry in directory.tree().items()}
