"""How the agent ends: exit code, termination message, log; and how it speaks to an API server."""

from __future__ import annotations

import json
import logging
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.api_server import ApiServer
from tests.unit.agent.facts import SPEC

from smbferry_agent import logs, main
from smbferry_agent.errors import AgentError, Paused
from smbferry_agent.manifests import identity_subject
from smbferry_agent.report.api_client import ApiClient, ObjectKey, ObjectNotFoundError
from smbferry_agent.run_watch import RunWatch
from smbferry_api import reasons
from smbferry_api.agent_contract import Side
from smbferry_api.exit_codes import ExitCode
from smbferry_api.names import ANNOTATION_REQUESTED_AT

if TYPE_CHECKING:
    from collections.abc import Iterator

ARGUMENTS = ["check-identity", "--namespace", "ns", "--name", "svc-src"]
KEY = ObjectKey("KerberosIdentity", "ns", "svc-src")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    with ApiServer(tmp_path) as running:
        yield running


@pytest.fixture
def ends(tmp_path: Path, server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the termination message goes; the agent's client is the test server's."""
    path = tmp_path / "termination-log"
    path.touch()
    monkeypatch.setenv("SMBFERRY_TERMINATION_LOG", str(path))
    monkeypatch.setattr(ApiClient, "in_cluster", classmethod(lambda _cls: server.client()))
    before, handlers = signal.getsignal(signal.SIGTERM), logging.root.handlers[:]
    yield path
    signal.signal(signal.SIGTERM, before)
    logging.root.handlers[:] = handlers


def failing(error: BaseException) -> Any:
    def check(*_: object, **_options: object) -> AgentError:
        raise error

    return check


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (AgentError(reasons.KEYTAB_STALE, "stale"), (11, "KeytabStale")),
        (AgentError(reasons.SECRET_NOT_FOUND, "no"), (10, "SecretNotFound")),
        (AgentError(reasons.ENCRYPTION_NOT_SUPPORTED, "no"), (12, "EncryptionNotSupported")),
        (AgentError(reasons.SHARE_NOT_FOUND, "no"), (13, "ShareNotFound")),
        (AgentError(reasons.MAX_DELETES_EXCEEDED, "no"), (14, "MaxDeletesExceeded")),
        (AgentError(reasons.KDC_UNREACHABLE, "no"), (20, "KdcUnreachable")),
        (AgentError(reasons.CLOCK_SKEW, "no"), (21, "ClockSkew")),
        (AgentError(reasons.DNS_TIMEOUT, "no"), (22, "DnsTimeout")),
        (AgentError(reasons.DESTINATION_FULL, "no"), (30, "DestinationFull")),
        (AgentError(reasons.RUN_CANCELLED, "no"), (40, "RunCancelled")),
        (ObjectNotFoundError("gone"), (40, "ObjectGone")),
        (KeyError("whatever"), (70, "InternalError")),
        (Paused("closed"), (41, "WindowClosed")),
    ],
)
def test_each_end_has_its_exit_code_and_leaves_a_message(
    error: BaseException,
    end: tuple[int, str],
    ends: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, reason = end
    monkeypatch.setattr(main, "cluster_check", failing(error))
    assert main.main(ARGUMENTS) == code
    left = json.loads(ends.read_text())
    assert left["reason"] == reason
    assert left["remedy"]
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert lines[-1]["exit_code"] == code
    assert any("traceback" in line for line in lines) == (code == ExitCode.BUG)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (ExitCode.DONE, "RunSucceeded"),
        (ExitCode.DONE_WITH_FAILURES, "RunPartiallySucceeded"),
        (ExitCode.AWAITS_APPROVAL, "ApprovalRequired"),
    ],
)
def test_a_transfer_that_was_not_stopped_ends_with_its_code_and_reason(
    ends: Path, monkeypatch: pytest.MonkeyPatch, code: ExitCode, reason: str
) -> None:
    monkeypatch.setattr(main, "transfer", lambda *_, **_options: code)
    monkeypatch.setattr(main, "recorded_task", lambda _environment: None)
    monkeypatch.setattr(main, "expect_identities", lambda *_: None)

    assert main.main(["transfer", "--namespace", "ns", "--name", "run"]) == code
    assert json.loads(ends.read_text())["reason"] == reason


def test_sigterm_ends_a_check_as_one_that_may_be_tried_again(ends: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "cluster_check", lambda *_, **_options: os.kill(os.getpid(), signal.SIGTERM))
    assert main.main(ARGUMENTS) == ExitCode.TERMINATED == 128 + signal.SIGTERM
    assert json.loads(ends.read_text())["reason"] == "AgentLost"


def test_a_check_of_an_identity_without_its_secret_writes_the_status_and_exits_10(
    ends: Path, server: ApiServer
) -> None:
    spec = SPEC.model_dump(by_alias=True, mode="json")
    server.objects[KEY.path] = {"metadata": {"name": "svc-src", "generation": 4}, "spec": spec}
    assert main.main(ARGUMENTS) == ExitCode.CONFIGURATION
    method, path, body = server.requests[-1]
    assert method == "PATCH"
    assert path == f"{KEY.path}/status?fieldManager=smbferry-agent&force=true"
    found = {c["type"]: c["reason"] for c in body["status"]["conditions"]}
    assert found["KeytabValid"] == "SecretNotFound"
    assert found["KdcReachable"] == "ConfigMapNotFound"
    assert "observedGeneration" not in body["status"]
    assert {c["observedGeneration"] for c in body["status"]["conditions"]} == {4}
    assert "Ready" not in found
    assert json.loads(ends.read_text())["reason"] == "ConfigMapNotFound"


def test_a_spec_that_cannot_be_read_is_named(ends: Path, server: ApiServer) -> None:
    server.objects[KEY.path] = {"metadata": {"name": "svc-src"}, "spec": {"principal": "no realm"}}
    assert main.main(ARGUMENTS) == ExitCode.CONFIGURATION
    assert "spec.principal" in json.loads(ends.read_text())["message"]


def test_an_object_that_is_not_there_ends_as_cancelled(ends: Path) -> None:
    assert main.main(ARGUMENTS) == ExitCode.CANCELLED
    assert json.loads(ends.read_text())["reason"] == "ObjectGone"


# --- The API server --------------------------------------------------------------------------------------------------


def test_the_token_is_read_again_for_each_request(server: ApiServer) -> None:
    server.objects[KEY.path] = {"metadata": {}}
    client = server.client()
    client.get(KEY)
    server.rotate_token("second")
    client.get(KEY)
    assert server.tokens == ["Bearer first", "Bearer second"]


def test_crds_that_are_older_than_the_agent_are_no_passing_trouble(server: ApiServer) -> None:
    server.status = 500
    server.raw = b'{"message": "failed to create typed patch object: .status.x: field not declared in schema"}'
    with pytest.raises(AgentError) as raised:
        server.status_of(KEY).write({})
    assert raised.value.reason is reasons.API_SERVER_REFUSED


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "ApiServerUnreachable"),
        (429, "ApiServerUnreachable"),
        (503, "ApiServerUnreachable"),
        (403, "ApiServerRefused"),
    ],
)
def test_refusals_of_the_api_server_are_told_apart(server: ApiServer, status: int, reason: str) -> None:
    server.status = status
    with pytest.raises(AgentError) as raised:
        server.status_of(KEY).write({})
    assert raised.value.reason.name == reason
    assert f"HTTP {status}" in raised.value.message


def test_a_server_with_another_certificate_is_not_spoken_to(server: ApiServer, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with ApiServer(other) as stranger:
        client = ApiClient(stranger.address, server.token_file, server.ca_file)
        with pytest.raises(AgentError) as raised:
            client.get(KEY)
    assert raised.value.reason is reasons.API_SERVER_UNREACHABLE
    assert stranger.tokens == []


def test_an_answer_that_is_no_json_is_refused(server: ApiServer) -> None:
    server.raw = b"<html>"
    server.status = 502
    with pytest.raises(AgentError, match="not JSON"):
        server.client().get(KEY)


@pytest.mark.parametrize("event", ["cancel", "deleted", "sigterm"])
def test_a_run_is_stopped_by_cancel_deletion_and_sigterm(
    server: ApiServer, event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smbferry_agent.run_watch._POLL_SECONDS", 0.01)
    key = ObjectKey("TransferRun", "ns", "run")
    server.objects[key.path] = {"spec": {"cancel": False}}
    before = signal.getsignal(signal.SIGTERM)
    with RunWatch(server.status_of(key), server.objects[key.path]) as watch:
        assert not watch.cancelled()
        if event == "cancel":
            server.objects[key.path] = {"spec": {"cancel": True}}
        elif event == "deleted":
            del server.objects[key.path]
        else:
            os.kill(os.getpid(), signal.SIGTERM)
        assert watch.wait(5)
    signal.signal(signal.SIGTERM, before)


def test_an_api_server_that_is_away_stops_no_run(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smbferry_agent.run_watch._POLL_SECONDS", 0.01)
    server.status = 503
    before = signal.getsignal(signal.SIGTERM)
    with RunWatch(server.status_of(ObjectKey("TransferRun", "ns", "run")), {"spec": {}}) as watch:
        assert server.seen(3)
        assert not watch.cancelled()
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("annotations", "handled", "requested"),
    [
        (None, None, False),
        ({}, "1", False),
        ({ANNOTATION_REQUESTED_AT: "1"}, None, True),
        ({ANNOTATION_REQUESTED_AT: "2"}, "1", True),
        ({ANNOTATION_REQUESTED_AT: "1"}, "1", False),
    ],
)
def test_a_persons_request_counts_once(
    annotations: dict[str, str] | None, handled: str | None, requested: bool
) -> None:
    manifest = {
        "metadata": {"name": "svc-src", "annotations": annotations},
        "spec": SPEC.model_dump(by_alias=True, mode="json"),
        "status": {"lastHandledRequest": handled},
    }
    assert identity_subject(manifest, Side.SELF, Path("scratch")).requested is requested


def test_log_lines_are_json_even_with_names_that_no_encoding_can_write() -> None:
    record = logging.LogRecord("smbferry_agent.x", logging.INFO, "", 0, "file %s", ("a\ud800\n",), None)
    line = logs.JsonLines().format(record)
    assert "\n" not in line
    assert json.loads(line)["message"] == "file a\ud800\n"
