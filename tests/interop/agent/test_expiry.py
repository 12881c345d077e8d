"""Tickets that end while their run goes on: the server ends the session, and the renewed ones open the next."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import krb5
import pytest
from tests.support.trees import Wanted

from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos import libkrb5
from smbferry_agent.report.run_report import RunReport
from smbferry_api.agent_contract import Side
from smbferry_api.exit_codes import ExitCode
from smbferry_engine.connect import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.interop.agent.scene import Scene
    from tests.support.domain import Directory, Domain

    from smbferry_agent.kerberos.facts import Ticket
    from smbferry_engine.connect import Connected
    from smbferry_engine.model import Endpoint

LIFE = 8


class ShortLives:
    """Makes the first tickets of each session end after LIFE seconds; the renewed ones live as long as ever.

    Samba's KDC serves nobody by a ticket-granting ticket of less than two minutes, so the first ticket for the file
    server is asked for directly, by the key, and put beside it.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._folder = folder
        self._initial, self._service = libkrb5.initial_ticket, libkrb5.service_ticket
        self._first: dict[Path, tuple[str, Path]] = {}
        self.issued: Callable[[str], object] = lambda _principal: None
        monkeypatch.setattr(libkrb5, "initial_ticket", self._initial_ticket)
        monkeypatch.setattr(libkrb5, "service_ticket", self._service_ticket)

    def _initial_ticket(
        self, config: Path, principal: str, keytab: Path, etypes: Sequence[int], ccache: Path
    ) -> Ticket:
        ticket = self._initial(config, principal, keytab, etypes, ccache)
        if ccache.name != "ccache":
            return ticket
        copy = self._folder / f"{principal}.keytab"
        copy.write_bytes(keytab.read_bytes())
        self._first[ccache] = principal, copy
        return dataclasses.replace(ticket, end_time=ticket.start_time + timedelta(seconds=LIFE))

    def _service_ticket(self, config: Path, ccache: Path, target: str) -> Ticket:
        if ccache not in self._first:
            return self._service(config, ccache, target)
        principal, keytab = self._first.pop(ccache)
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


@pytest.fixture
def lives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ShortLives:
    return ShortLives(monkeypatch, tmp_path)


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """Every session that is opened: the principal, and how many seconds after the first."""
    opened: list[tuple[str, float]] = []

    def opening(endpoint: Endpoint, **arguments: Any) -> Connected:
        connected = connect(endpoint, **arguments)
        opened.append((endpoint.principal, time.monotonic() - began))
        return connected

    began = time.monotonic()
    monkeypatch.setattr("smbferry_engine.sides.connect", opening)
    return opened


@pytest.fixture
def slow(scene: Scene, lives: ShortLives) -> Scene:  # the lives make it slow
    """A run that takes longer than its first tickets live."""
    scene.source.seed([Wanted("large.bin", size=14 * 10_000_000)])
    scene.options = {"bytesPerSecond": "10M"}
    return scene


def test_a_run_outlives_its_tickets(slow: Scene, sessions: list[tuple[str, float]]) -> None:
    assert slow.run() is ExitCode.DONE
    assert content(slow.source) == content(slow.destination)
    for identity in slow.identities.values():
        later = [seconds for principal, seconds in sessions if principal == identity.principal and seconds >= LIFE]
        assert later, "the server ended the first session, and another one went on"
    assert slow.status()["counters"]["bytes"]["written"] < 150_000_000, "little was written twice"


def test_tickets_that_can_not_be_renewed_end_the_run_with_a_reason_and_the_next_goes_on(
    slow: Scene, lives: ShortLives, domain: Domain
) -> None:
    identity = slow.identities[Side.DESTINATION]
    name = identity.principal.partition("@")[0]
    lives.issued = lambda principal: principal == identity.principal and domain.set_password(name)
    began = time.monotonic()
    with pytest.raises(AgentError) as raised:
        slow.run()
    assert time.monotonic() - began < LIFE + 60
    assert raised.value.reason.name == "TicketExpired"
    assert "large.bin" not in slow.destination.tree()

    slow.options, slow.report = {}, RunReport()
    lives.issued = lambda _principal: None
    identity.keytab(domain.export_keytab(name))
    assert slow.run() is ExitCode.DONE
    assert content(slow.source) == content(slow.destination)
    assert slow.status()["counters"]["bytes"]["written"] < 140_000_000, "it went on in what was there"


def content(directory: Directory) -> dict[str, tuple[str, int, str | None]]:
    return {path: (entry.kind, entry.size, entry.sha256) for path, entry in directory.tree().items()}
