"""A status is written to the object that it is about, whoever else writes and whatever has its name now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.api_server import ApiServer

from smbferry_agent.report.api_client import ConflictError, ObjectKey, ObjectNotFoundError
from smbferry_agent.report.object_status import ObjectStatus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = ObjectKey("SmbLocation", "ns", "share")
STATUS = {"observedGeneration": 1}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    with ApiServer(tmp_path) as running:
        running.objects[KEY.path] = {"spec": {}}
        yield running


def sent(server: ApiServer) -> list[tuple[str, Any]]:
    """Method and named resourceVersion of each request."""
    return [(method, body and body["metadata"]["resourceVersion"]) for method, _, body in server.requests]


def made_anew(server: ApiServer) -> None:
    server.objects[KEY.path] = {"metadata": {"uid": "another", "resourceVersion": "7"}, "spec": {}, "status": {}}


@pytest.mark.fault(205)
@pytest.mark.parametrize("how", ["apply", "merge"])
def test_an_object_that_was_made_anew_gets_nothing_of_its_namesake(server: ApiServer, how: str) -> None:
    status = server.status_of(KEY)
    made_anew(server)
    with pytest.raises(ObjectNotFoundError, match="another object has its name"):
        getattr(status, how)(STATUS)
    assert sent(server) == [("GET", None)]


@pytest.mark.fault(205)
@pytest.mark.parametrize("how", ["apply", "merge"])
def test_an_object_that_is_made_anew_just_before_the_write_gets_nothing(server: ApiServer, how: str) -> None:
    status = server.status_of(KEY)
    status.read()

    def replace() -> None:
        server.objects[KEY.path]["metadata"] = {"uid": "another", "resourceVersion": "7"}

    server.before_patch = replace
    with pytest.raises(ObjectNotFoundError):
        getattr(status, how)(STATUS)
    assert sent(server) == [("GET", None), ("GET", None), ("PATCH", "1"), ("GET", None)]
    assert "status" not in server.objects[KEY.path]


def test_a_write_of_somebody_else_meanwhile_delays_it_only(server: ApiServer) -> None:
    server.before_patch = lambda: server.objects[KEY.path]["metadata"].update(resourceVersion="5")
    server.status_of(KEY).merge(STATUS)
    assert sent(server) == [("GET", None), ("PATCH", "1"), ("GET", None), ("PATCH", "5")]
    assert server.objects[KEY.path]["status"] == STATUS


def test_who_writes_alone_reads_once(server: ApiServer) -> None:
    status = server.status_of(KEY)
    for number in range(3):
        status.merge({"observedGeneration": number})
    assert [method for method, _ in sent(server)] == ["GET", "PATCH", "PATCH", "PATCH"]
    assert server.objects[KEY.path]["status"] == {"observedGeneration": 2}


def test_what_was_just_read_is_not_read_again(server: ApiServer) -> None:
    client = server.client()
    status = ObjectStatus.of(client, KEY, client.get(KEY))
    status.apply(STATUS)
    status.merge_into(client.get(KEY), STATUS)
    status.merge(STATUS)
    assert [method for method, _ in sent(server)] == ["GET", "PATCH", "GET", "PATCH", "PATCH"]


def test_who_is_never_first_gives_up(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_patch", lambda *_found, **_how: 409)
    with pytest.raises(ConflictError):
        server.status_of(KEY).apply(STATUS)
    assert [method for method, _ in sent(server)] == ["GET", "PATCH"] * 12
