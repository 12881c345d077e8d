"""How refusals of the API server are told, and what a request asks for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import urllib3
from tests.unit.cli.fake_api import Answer, FakeApi, called, run, status, task

from smbferry_api.crd import TRANSFER_RUN, TRANSFER_TASK
from smbferry_api.exit_codes import ExitCode
from smbferry_cli import api
from smbferry_cli.api import AwayError, Request
from smbferry_cli.cluster import Cluster, refusal
from smbferry_cli.exits import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GET = Request("get", "smbferry.io", "v1alpha1", "transfertasks", "ferry", "nightly")
LIST = Request("list", "smbferry.io", "v1alpha1", "transfertasks")
PATCH = Request("patch", "smbferry.io", "v1alpha1", "transferruns", "ferry", "nightly-7")
LOG = Request("get", "", "v1", "pods/log", "ferry", "pod-1")


@pytest.mark.parametrize(
    ("request_", "method", "path"),
    [
        (GET, "GET", "/apis/smbferry.io/v1alpha1/namespaces/ferry/transfertasks/nightly"),
        (LIST, "GET", "/apis/smbferry.io/v1alpha1/transfertasks"),
        (PATCH, "PATCH", "/apis/smbferry.io/v1alpha1/namespaces/ferry/transferruns/nightly-7"),
        (LOG, "GET", "/api/v1/namespaces/ferry/pods/pod-1/log"),
        (Request("create", "smbferry.io", "v1alpha1", "transferruns", "ferry"), "POST",
         "/apis/smbferry.io/v1alpha1/namespaces/ferry/transferruns"),
        (Request("list", "", "v1", "namespaces"), "GET", "/api/v1/namespaces"),
    ],
)  # fmt: skip
def test_where_a_request_goes(request_: Request, method: str, path: str) -> None:
    assert (request_.method, request_.path) == (method, path)


@pytest.mark.parametrize(
    ("request_", "code", "body", "said"),
    [
        (GET, 401, {}, "the API server did not accept your credentials; log in again"),
        (
            LIST, 403, {"message": 'User "x" cannot list resource', "reason": "Forbidden"},
            ("you may not list transfertasks.smbferry.io in all namespaces; your role needs the verb list on "
            "transfertasks.smbferry.io, which the ClusterRole view includes"),
        ),
        (
            PATCH, 403, {"message": 'User "x" cannot patch resource', "reason": "Forbidden"},
            ('you may not patch transferruns.smbferry.io in namespace "ferry"; your role needs the verb patch on '
            "transferruns.smbferry.io, which the ClusterRole edit includes"),
        ),
        (
            LOG, 403, {"message": 'User "x" cannot get resource', "reason": "Forbidden"},
            ('you may not get pods/log in namespace "ferry"; your role needs the verb get on pods/log, '
            "which the ClusterRole view includes"),
        ),
        (
            PATCH, 403, {"message": "exceeded quota: runs", "reason": "Forbidden"},
            'the API server refused to patch transferruns.smbferry.io in namespace "ferry": exceeded quota: runs',
        ),
        (
            GET, 404, {},
            ("the cluster does not serve transfertasks.smbferry.io of version v1alpha1; install smbferry's chart, or "
            "choose another --context"),
        ),
        (
            PATCH, 422, {"message": "spec is\n immutable"},
            'the API server refused to patch transferruns.smbferry.io in namespace "ferry": spec is immutable',
        ),
    ],
)  # fmt: skip
def test_a_refusal_says_what_to_do(request_: Request, code: int, body: dict[str, str], said: str) -> None:
    found = refusal(request_, code, "Reason", body)
    assert (str(found), found.exit_code) == (said, ExitCode.CONFIGURATION)


@pytest.mark.parametrize("code", [429, 500, 503, 504])
def test_what_may_be_over_soon_is_retried_by_who_waits(code: int) -> None:
    found = refusal(GET, code, "Busy", {})
    assert isinstance(found, AwayError)
    assert (str(found), found.exit_code) == (f"the API server answered {code} Busy", ExitCode.NETWORK)


def test_what_a_proxy_says_is_no_object() -> None:
    fake = FakeApi(task())
    fake.refusal = Answer(502, b"<html>bad gateway", "Bad Gateway")
    with pytest.raises(AwayError, match="answered 502 Bad Gateway"):
        Cluster(fake, "ferry").patch(TRANSFER_TASK, "nightly", {})


def test_lists_are_read_to_their_last_page() -> None:
    fake = FakeApi(*(run(f"r{number}") for number in range(5)))
    assert Cluster(fake, "ferry").names(TRANSFER_RUN) == ["r0", "r1", "r2", "r3", "r4"]
    assert len(fake.requests) == 3


def test_who_may_not_list_still_hears_that_an_object_is_missing() -> None:
    fake = FakeApi(denied=frozenset({("list", "transfertasks")}))
    with pytest.raises(ClusterError) as raised:
        called(fake, "suspend nightli")
    assert str(raised.value) == (
        'TransferTask "nightli" not found in namespace "ferry"; smbferry get tasks --all-namespaces lists all tasks'
    )


def test_an_object_that_is_gone_before_it_is_changed_is_missing() -> None:
    fake = FakeApi(task("weekly"))
    with pytest.raises(ClusterError, match='did you mean "weekly"'):
        Cluster(fake, "ferry").patch(TRANSFER_TASK, "weekli", {"spec": {}})


def test_a_run_that_is_refused_is_told_in_the_words_of_the_api_server() -> None:
    fake = FakeApi(task())
    fake.refusal = status(422, "Invalid", "spec.priority: must be at most 1000")
    with pytest.raises(ClusterError, match=r"refused to create transferruns.*must be at most 1000"):
        called(fake, "trigger nightly")


CONFIG = (
    "{apiVersion: v1, kind: Config, current-context: a, clusters: [{name: c, cluster: {server: 'https://x'}}], "
    "users: [{name: u, user: {token: t}}], contexts: [{name: a, context: {cluster: c, user: u, namespace: ferry}}]}"
)


class Body:
    """A response's body that arrives in parts."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = parts

    def stream(self, _size: int, *, decode_content: bool) -> Iterator[bytes]:
        assert decode_content
        yield from self._parts

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("parts", "lines"),
    [
        ((b"one\ntw", b"o\n"), [b"one", b"two"]),
        ((b"one\n", b"\n", b"unended"), [b"one", b"", b"unended"]),
        ((), []),
    ],
)
def test_lines_are_whole_however_they_arrive(parts: tuple[bytes, ...], lines: list[bytes]) -> None:
    answer = SimpleNamespace(status=200, reason="OK", response=Body(*parts))
    assert list(api._Answer(answer).lines()) == lines


def test_a_kubeconfig_tells_where_requests_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = list[tuple[str, str, dict[str, str]]]()

    def call(method: str, url: str, headers: dict[str, str], *_: object, **__: object) -> object:
        sent.append((method, url, headers))
        return SimpleNamespace(status=200, reason="OK", response=SimpleNamespace(read=lambda: b"{}"))

    transport = api.KubeTransport(config_file(tmp_path), None)
    monkeypatch.setattr(transport._api, "call_api", call)
    Cluster(transport, transport.namespace).patch(TRANSFER_TASK, "nightly", {"spec": {}})
    ((method, url, headers),) = sent
    path = "/apis/smbferry.io/v1alpha1/namespaces/ferry/transfertasks/nightly"
    assert (method, url) == ("PATCH", f"https://x{path}?fieldManager=smbferry-cli")
    assert headers["Content-Type"] == "application/merge-patch+json"
    assert headers["authorization"] == "Bearer t"


def test_an_api_server_that_does_not_answer_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def call(*_: object, **__: object) -> object:
        raise urllib3.exceptions.ConnectTimeoutError(None, "connection refused")

    transport = api.KubeTransport(config_file(tmp_path), "a")
    monkeypatch.setattr(transport._api, "call_api", call)
    with pytest.raises(AwayError, match="expected an answer from the API server, got none"):
        Cluster(transport, "ferry").run("nightly-7")


def test_a_context_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="cannot use the kubeconfig"):
        api.KubeTransport(config_file(tmp_path), "other")


def config_file(folder: Path) -> str:
    file = folder / "config"
    file.write_text(CONFIG)
    return str(file)
