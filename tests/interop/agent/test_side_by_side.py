"""One agent checks an identity's locations on real servers side by side: with one try of the key, each in its time."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from lab.support.verdicts import LOCATION_IS_WELL
from tests.interop.agent.support import default_config
from tests.support.api_server import ApiServer

from smbferry_agent import location_checks
from smbferry_agent.checks import check_location
from smbferry_agent.location_checks import LocationChecks, NamedLocation
from smbferry_agent.preflight.identity_probe import try_identity
from smbferry_agent.report.api_client import ObjectKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.support.domain.domain import Domain, User
    from lab.support.stubs.counting_kdc import CountingKdc
    from tests.interop.agent.support import Identity

    from smbferry_agent.errors import AgentError
    from smbferry_agent.location_checks import Outcome
    from smbferry_agent.preflight.location_probe import LocationSubject
    from smbferry_agent.report.object_status import ObjectStatus

pytestmark = pytest.mark.takes(30)

WELL, HANGING, MISSING = tuple(f"well-{number}" for number in range(12)), "hanging", "missing"
SECONDS = 20.0
"""More than a loaded machine needs for all that are well; one hangs for ever."""


def key(name: str) -> ObjectKey:
    return ObjectKey("SmbLocation", "ns", name)


@pytest.fixture
def server(domain: Domain, tmp_path: Path) -> Iterator[ApiServer]:
    """Twelve locations that are well, one without its share, and one that `hangs` uses."""
    differ: dict[str, dict[str, Any]] = {MISSING: {"share": "nonesuch"}}
    (tmp_path / "server").mkdir()
    with ApiServer(tmp_path / "server") as running:
        for name in (*WELL, HANGING, MISSING):
            spec = {"server": domain.server, "share": "src", "identityRef": {"name": "it"}}
            spec |= {"nameservers": [domain.address], **differ.get(name, {})}
            metadata = {"name": name, "uid": f"uid-{name}", "generation": 1}
            running.objects[key(name).path] = {"metadata": metadata, "spec": spec, "status": {}}
        yield running


@pytest.fixture
def hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of one location never ends: no wait inside of it does, either."""

    def checked(subject: LocationSubject, status: ObjectStatus) -> AgentError | None:
        if status.key.name == HANGING:
            signal.pause()
        return check_location(subject, status)

    monkeypatch.setattr(location_checks, "check_location", checked)


def statuses(server: ApiServer, name: str) -> dict[str, tuple[str, str]]:
    """The conditions that were written to a location."""
    path = f"{key(name).path}/status"
    (body,) = (body for method, asked, body in server.requests if method == "PATCH" and asked.startswith(path))
    return {c["type"]: (c["status"], c["reason"]) for c in body["status"]["conditions"]}


def scratch_of(identity: Identity) -> Path:
    return identity.folder / "locations"


def check(identity: Identity, server: ApiServer) -> tuple[dict[str, Outcome], list[float]]:
    """How the check of each ended, in the order of their ends, and after how many seconds."""
    tried = try_identity(identity.subject(), datetime.now(UTC))
    checks = LocationChecks("ns", "it", tried, server.client, scratch_of(identity))
    began, found, seconds = time.monotonic(), {}, []
    for outcome in checks.run(
        [NamedLocation(name, f"uid-{name}") for name in (HANGING, *WELL, MISSING)], seconds=SECONDS
    ):
        found[outcome.name] = outcome
        seconds.append(time.monotonic() - began)
    return found, seconds


@pytest.mark.fault(207)
@pytest.mark.usefixtures("hangs")
def test_each_has_its_verdict_by_one_try_of_the_key_and_none_waits_for_one_that_hangs(
    identity: Identity, domain: Domain, server: ApiServer, counted: CountingKdc
) -> None:
    identity.config(default_config(domain, counted.kdc))
    found, seconds = check(identity, server)

    assert [*found][-1] == HANGING, "the others ended before it"
    assert seconds[-2] < SECONDS <= seconds[-1]
    for name in WELL:
        assert {type_: status for type_, (status, _) in statuses(server, name).items()} == LOCATION_IS_WELL
    assert statuses(server, MISSING)["ShareAccessible"] == ("False", "ShareNotFound")
    assert statuses(server, HANGING)["ServerReachable"] == ("False", "DeadlineExceeded")
    assert all(outcome.reported for outcome in found.values())
    assert counted.proofs == 1
    assert list(scratch_of(identity).iterdir()) == [], "no ticket is left"


def test_if_the_key_is_refused_no_location_tries_it_again(
    identity: Identity, domain: Domain, user: User, server: ApiServer, counted: CountingKdc
) -> None:
    domain.set_password(user.name)
    identity.config(default_config(domain, counted.kdc))
    found, _ = check(identity, server)

    reasons = {statuses(server, name)["TicketAcquired"][1] for name in WELL}
    assert len(reasons) == 1
    assert reasons < {"KeytabStale", "PreauthFailed"}
    assert all(statuses(server, name)["ServerReachable"] == ("True", "Reachable") for name in WELL)
    assert all(found[name].reported for name in WELL)
    assert counted.proofs <= 2
