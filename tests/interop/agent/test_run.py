"""A whole run without a cluster: preflight of both sides, the engine, and what the report says."""

from __future__ import annotations

import dataclasses
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from lab.support.domain.trees import Wanted

from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos.facts import Ticket
from smbferry_agent.kerberos.renewal import Renewal
from smbferry_agent.kerberos.session import KerberosSession
from smbferry_agent.preflight.identity_probe import checked_identity
from smbferry_agent.report.run_report import RunReport
from smbferry_api.agent_contract import Side
from smbferry_api.exit_codes import ExitCode

if TYPE_CHECKING:
    from lab.support.domain.domain import Domain
    from tests.interop.agent.scene import Scene
    from tests.interop.agent.support import Identity

pytestmark = pytest.mark.takes(15)


def test_a_run_copies_the_tree_and_reports_phases_counters_and_evidence(scene: Scene) -> None:
    assert scene.run() is ExitCode.DONE
    ours = {path: (e.kind, e.size, e.sha256) for path, e in scene.source.tree().items()}
    theirs = {path: (e.kind, e.size, e.sha256) for path, e in scene.destination.tree().items()}
    assert ours == theirs
    assert len(ours) == 5

    status = scene.status()
    assert {name: phase["state"] for name, phase in status["phases"].items()} == {
        "preflight": "Succeeded",
        "prepare": "Succeeded",
        "transfer": "Succeeded",
        "verify": "Succeeded",
        "delete": "Skipped",
    }
    assert status["counters"]["files"]["transferred"] == 3
    assert status["counters"]["bytes"]["transferred"] == 3_000_005
    assert status["progress"]["percent"] == "100%"
    assert status["progress"]["files"] == "3/3"
    for side, identity in scene.identities.items():
        evidence = status["security"][side.value]
        assert evidence["principal"] == identity.principal
        assert evidence["kvno"] == 2
        assert evidence["ticketEnctype"] == "aes256-cts-hmac-sha1-96"
        assert evidence["dialect"] == "3.1.1"
        assert evidence["cipher"].endswith("-GCM")
    assert not (scene.folder / "tickets" / "source").exists()


def test_a_source_without_snapshots_is_read_as_it_is_and_the_status_says_so(scene: Scene) -> None:
    scene.snapshot = "Latest"
    assert scene.run() is ExitCode.DONE
    assert scene.source.tree().keys() == scene.destination.tree().keys()
    told = scene.status()["sourceSnapshot"]
    assert told["message"].startswith("The files are read as they are: the server lists no snapshots")
    assert "time" not in told


@pytest.mark.parametrize("choice", ["Required", "2026-11-21T12:00:00Z"])
def test_a_snapshot_that_is_not_there_ends_the_run_before_data_moves(scene: Scene, choice: str) -> None:
    scene.snapshot = choice
    with pytest.raises(AgentError) as raised:
        scene.run()
    assert raised.value.exit_code is ExitCode.ACCESS
    assert scene.status()["failure"]["reason"] == "SnapshotNotFound"
    assert scene.status()["phases"]["preflight"]["state"] == "Failed"
    assert scene.destination.tree() == {}


def test_a_stale_keytab_at_the_destination_ends_the_run_before_data_moves(scene: Scene, domain: Domain) -> None:
    domain.set_password(scene.identities[Side.DESTINATION].principal.partition("@")[0])
    with pytest.raises(AgentError) as raised:
        scene.run()
    assert raised.value.exit_code is ExitCode.IDENTITY
    failure = scene.status()["failure"]
    assert failure["reason"] == "KeytabStale"
    assert failure["class"] == "Identity"
    assert failure["message"].startswith("Destination: ")
    assert "Export a new keytab" in failure["remedy"]
    assert scene.status()["phases"]["preflight"]["state"] == "Failed"
    assert scene.destination.tree() == {}


@pytest.mark.fault(20)
def test_a_keytab_rotated_during_a_run_serves_the_next_one(scene: Scene, domain: Domain) -> None:
    scene.source.seed([Wanted(f"big-{number}.bin", size=20_000_000) for number in range(3)])
    scene.options["bytesPerSecond"] = "20Mi"  # so that the run is asked in its midst whether it goes on
    identity = scene.identities[Side.SOURCE]
    name = identity.principal.partition("@")[0]
    rotated: list[int] = []

    def rotate_once() -> bool:
        begun = "transfer" in scene.status().get("phases", {})
        if begun and not rotated:
            domain.set_password(name)
            identity.keytab(domain.export_keytab(name))
            rotated.append(domain.kvno(name))
        return False

    before = domain.kvno(name)
    assert scene.run(cancelled=rotate_once) is ExitCode.DONE
    assert rotated == [before + 1]
    assert scene.status()["security"]["source"]["kvno"] == before
    scene.report = RunReport()
    assert scene.run() is ExitCode.DONE
    assert scene.status()["security"]["source"]["kvno"] == before + 1


def test_a_run_that_is_cancelled_leaves_no_temporaries(scene: Scene) -> None:
    scene.source.seed([Wanted(f"big-{i}.bin", size=40_000_000) for i in range(4)])
    began = time.monotonic()
    with pytest.raises(AgentError) as raised:
        scene.run(cancelled=lambda: time.monotonic() - began > 0.5)
    assert raised.value.exit_code is ExitCode.CANCELLED
    assert set(scene.destination.tree()) <= set(scene.source.tree())


def test_a_dry_run_counts_and_writes_nothing(scene: Scene) -> None:
    assert scene.run(dry_run=True) is ExitCode.DONE
    assert scene.destination.tree() == {}
    assert scene.status()["counters"]["files"]["toTransfer"] == 3


def test_renewed_tickets_take_the_place_of_the_old_ones(identity: Identity, domain: Domain) -> None:
    with checked_identity(identity.subject(), now()) as checked:
        session = checked.session
        assert isinstance(session, KerberosSession)
        target = f"cifs/{domain.server}"
        session.service_ticket(target)
        cache = identity.folder / "scratch" / "ccache"
        before = cache.read_bytes()
        ticket = session.renew(target)
        assert ticket.end_time > now()
        assert cache.read_bytes() != before
        assert cache.stat().st_mode & 0o777 == 0o600
        assert issued(session, target).startswith(target)


def test_tickets_are_renewed_in_the_background_before_they_end(identity: Identity, domain: Domain) -> None:
    target = f"cifs/{domain.server}"
    with checked_identity(identity.subject(), now()) as checked:
        account = checked.facts.account
        assert checked.session is not None
        assert account is not None
        assert account.ticket is not None
        cache = identity.folder / "scratch" / "ccache"
        before = cache.read_bytes()
        # Samba issues nothing by a ticket of less than two minutes, so only the renewal is told of a short life.
        short = dataclasses.replace(account.ticket, start_time=now(), end_time=now() + timedelta(seconds=2))
        with Renewal(checked.session, short, target):
            deadline = time.monotonic() + 10
            while cache.read_bytes() == before and time.monotonic() < deadline:
                time.sleep(0.05)
        assert cache.read_bytes() != before
        assert issued(checked.session, target).startswith(target)


def issued(session: KerberosSession, target: str) -> str:
    ticket = session.service_ticket(target)
    assert isinstance(ticket, Ticket)
    return ticket.server


def now() -> datetime:
    return datetime.now(UTC)
