"""A run uses keys of identities that exist, and that its Job names: an admission policy has compared their Secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.support.api_server import ApiServer
from tests.support.builders import run_body, snapshot

from smbferry_agent import main
from smbferry_agent.cluster import expect_identities
from smbferry_agent.errors import AgentError
from smbferry_agent.manifests import recorded_task
from smbferry_agent.report import api_client
from smbferry_agent.report.api_client import ApiClient, ObjectKey
from smbferry_api.agent_contract import Side, identity_variable
from smbferry_api.exit_codes import ExitCode
from smbferry_api.run import ResolvedTask
from smbferry_api.snapshot import environment_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TASK = ResolvedTask.model_validate(snapshot())
(NAME,) = TASK.identity_names
IDENTITY = ObjectKey("KerberosIdentity", "ns", NAME)
RUN = ObjectKey("TransferRun", "ns", "run")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setattr(api_client, "_PAUSE", 0)
    with ApiServer(tmp_path) as running:
        running.objects[RUN.path] = run_body(namespace="ns")
        yield running


def test_a_run_whose_identities_exist_may_use_their_keys(server: ApiServer) -> None:
    server.objects[IDENTITY.path] = {"metadata": {"name": NAME}, "spec": {}}
    expect_identities(server.client(), "ns", TASK)
    assert [path for _, path, _ in server.requests] == [IDENTITY.path]


@pytest.mark.fault(221)
@pytest.mark.parametrize(("status", "reason"), [(200, "IdentityNotFound"), (403, "ApiServerRefused")])
def test_without_an_identity_that_the_agent_can_see_no_key_is_read(server: ApiServer, status: int, reason: str) -> None:
    server.status = status
    with pytest.raises(AgentError) as raised:
        expect_identities(server.client(), "ns", TASK)
    assert raised.value.reason.name == reason
    assert NAME in raised.value.message


def test_an_api_server_that_is_away_stops_no_run(server: ApiServer) -> None:
    server.status = 503
    expect_identities(server.client(), "ns", TASK)


@pytest.mark.fault(221)
def test_a_run_for_an_identity_that_does_not_exist_ends_before_it_begins(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ApiClient, "in_cluster", classmethod(lambda _cls: server.client()))
    monkeypatch.setattr(main, "transfer", lambda *_, **_more: pytest.fail("it has begun"))
    for name, value in {**environment_of(TASK), "SMBFERRY_TERMINATION_LOG": str(tmp_path / "log")}.items():
        monkeypatch.setenv(name, value)
    assert main.main(["transfer", "--namespace", "ns", "--name", "run"]) == ExitCode.CONFIGURATION
    assert json.loads((tmp_path / "log").read_text())["reason"] == "IdentityNotFound"


@pytest.mark.fault(221)
@pytest.mark.parametrize("changed", [{}, {identity_variable(Side.SOURCE): "another"}])
def test_a_snapshot_with_another_identity_than_the_job_names_is_refused(changed: dict[str, str]) -> None:
    variable = identity_variable(Side.SOURCE)
    environment = {name: value for name, value in environment_of(TASK).items() if name != variable} | changed
    with pytest.raises(AgentError, match=f"{NAME}.* in {variable}") as raised:
        recorded_task(environment)
    assert raised.value.reason.name == "SpecInvalid"
