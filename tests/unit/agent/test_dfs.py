"""DFS at the agent: where a location leads is told; a destination that leads elsewhere than it did is not written."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from tests.unit.agent.facts import LOCATION, NOW, SHARE, location, lookup

from smbferry_agent.errors import AgentError
from smbferry_agent.preflight.claim import check_claim
from smbferry_agent.preflight.location_judge import judge_location
from smbferry_agent.preflight.location_probe import LocationSubject
from smbferry_agent.preflight.location_status import location_status
from smbferry_agent.preflight.server_names import locator
from smbferry_agent.resolve import Outcome, Resolver
from smbferry_api.conditions import ConditionType
from smbferry_api.location import DfsTarget
from smbferry_api.reasons import DFS_TARGET_UNUSABLE, IDENTITY_NOT_FOUND
from smbferry_engine import DfsTarget as EngineTarget
from smbferry_engine import Endpoint, EngineError

BEHIND = location(share=replace(SHARE, dfs_target=EngineTarget("fs1.corp.example.com", 445, "data", "/projects")))
NOBODY = AgentError(IDENTITY_NOT_FOUND, "not needed here")


class Session:
    """What of a Kerberos session is used here."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def service_ticket(self, target: str) -> None:
        self.asked.append(target)


def endpoint(**changes: object) -> Endpoint:
    made = Endpoint(
        server="fs1.corp.example.com",
        port=445,
        share="data",
        path="/projects/x",
        addresses=("192.0.2.1",),
        service_principal="cifs/fs1.corp.example.com",
        principal="svc@CORP.EXAMPLE.COM",
        ccache="FILE:/nowhere",
        krb5_config="/nowhere",
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # the tests name the fields


CLAIM = DfsTarget(server="fs1.corp.example.com", share="data", path="/projects").below("/x")


@pytest.mark.parametrize("guid", ["0d8c4a3c-5b6e-4f70-8192-a3b4c5d6e7f8", None])
def test_the_servers_own_identifier_is_in_the_status(guid: str | None) -> None:
    facts = location(share=replace(SHARE, server_guid=UUID(guid) if guid else None))
    status = location_status(LocationSubject(LOCATION, 1, NOBODY), facts, judge_location(LOCATION, facts), NOW)
    assert status.server is not None
    assert status.server.guid == guid


def test_where_a_path_leads_is_in_the_status_and_in_the_message() -> None:
    findings = judge_location(LOCATION, BEHIND)
    (share,) = [finding for finding in findings if finding.type is ConditionType.SHARE_ACCESSIBLE]
    assert r", a DFS path to \\fs1.corp.example.com\data\projects; granted" in share.message
    status = location_status(LocationSubject(LOCATION, 1, NOBODY), BEHIND, findings, NOW)
    assert status.dfs_target == DfsTarget(server="fs1.corp.example.com", share="data", path="/projects")


def test_a_path_that_is_no_dfs_path_has_no_target() -> None:
    facts = location()
    status = location_status(LocationSubject(LOCATION, 1, NOBODY), facts, judge_location(LOCATION, facts), NOW)
    assert status.dfs_target is None


def test_a_link_that_leads_nowhere_is_a_matter_of_the_share() -> None:
    facts = location(share=AgentError(DFS_TARGET_UNUSABLE, "a server's name expected, found the address 10.0.0.7"))
    reasons = {finding.type: finding.reason for finding in judge_location(LOCATION, facts)}
    assert reasons[ConditionType.SHARE_ACCESSIBLE] is DFS_TARGET_UNUSABLE


@pytest.mark.parametrize(
    "found", [endpoint(), endpoint(server="FS1.corp.example.com."), endpoint(share="DATA", path="projects//X/")]
)
def test_the_folder_that_was_claimed_may_be_written(found: Endpoint) -> None:
    check_claim(CLAIM, found)


@pytest.mark.parametrize(
    "found",
    [
        endpoint(server="fs2.corp.example.com"),
        endpoint(port=1445),
        endpoint(share="other"),
        endpoint(path="/projects"),
        endpoint(path="/projects/x/y"),
    ],
)
def test_any_other_folder_may_not(found: Endpoint) -> None:
    with pytest.raises(AgentError, match=r"expected //fs1.corp.example.com:445/data/projects/x, got //"):
        check_claim(CLAIM, found)


@pytest.mark.parametrize(
    ("answers", "says"), [((), "no such record|does not exist"), (("169.254.169.254",), "169.254.169.254")]
)
def test_a_target_is_looked_up_by_the_same_rules_as_a_locations_server(
    monkeypatch: pytest.MonkeyPatch, answers: tuple[str, ...], says: str
) -> None:
    found = lookup(Outcome.FOUND, *answers) if answers else lookup(Outcome.NO_NAME)
    monkeypatch.setattr(Resolver, "addresses", lambda _self, _name: found)
    session = Session()
    with pytest.raises(EngineError, match=says) as caught:
        locator(Resolver(("192.0.2.53",)), session)("fs1.corp.example.com")  # type: ignore[arg-type]  # see Session
    assert caught.value.reason == "ServerUnreachable"
    assert session.asked == []


def test_a_target_that_is_found_is_asked_a_ticket_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Resolver, "addresses", lambda _self, _name: lookup(Outcome.FOUND, "10.0.0.5"))
    session = Session()
    found = locator(Resolver(("192.0.2.53",)), session)("fs1.corp.example.com")  # type: ignore[arg-type]  # see Session
    assert found == ("10.0.0.5",)
    assert session.asked == ["cifs/fs1.corp.example.com"]
