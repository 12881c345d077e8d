"""The sink over HTTP, against a server on the loopback interface."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from smbferry_operator.model import Key, Kind
from smbferry_operator.notify.cloud_event import CONTENT_TYPE, CloudEvent
from smbferry_operator.notify.signature import signed_headers
from smbferry_operator.notify.sink import HttpSink, SinkError
from smbferry_operator.settings import SinkSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

KEY = b"k" * 32
EVENT = CloudEvent("uid-a_run-ended", Key(Kind.RUN, "team", "a"), b'{"specversion": "1.0"}')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "key").write_text(f"whsec_{base64.b64encode(KEY).decode()}\n")
    return tmp_path


class Received:
    """A server that answers with one status and keeps the requests."""

    def __init__(self, status: int = 204) -> None:
        self.status = status
        self.requests: list[tuple[dict[str, str], bytes]] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        headers = {"Location": "/elsewhere", "Set-Cookie": "a=b"}
        return web.Response(status=self.status, headers=headers)

    def during(self, work: Callable[[str], Coroutine[None, None, None]]) -> None:
        """Works while the server listens."""

        async def run() -> None:
            application = web.Application()
            application.add_routes([web.post("/{tail:.*}", self.answer)])
            runner = web.AppRunner(application, access_log=None)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            try:
                await work(f"http://127.0.0.1:{runner.addresses[0][1]}/hook?x=1")
            finally:
                await runner.cleanup()

        asyncio.run(run())


def delivering(folder: Path, times: int = 1) -> Callable[[str], Coroutine[None, None, None]]:
    async def work(url: str) -> None:
        sink = HttpSink(SinkSettings(url, folder))
        try:
            for _ in range(times):
                await sink.deliver(EVENT)
        finally:
            await sink.close()

    return work


def test_an_event_is_posted_as_it_is_and_signed(folder: Path) -> None:
    received = Received()
    received.during(delivering(folder, 2))

    assert len(received.requests) == 2
    for headers, content in received.requests:
        assert content == EVENT.content
        assert headers["content-type"] == CONTENT_TYPE
        expected = signed_headers(EVENT.id, int(headers["webhook-timestamp"]), content, [KEY])
        assert {name: headers[name] for name in expected} == expected
        assert "cookie" not in headers


@pytest.mark.parametrize(
    ("status", "only_this"),
    [(302, False), (400, True), (413, True), (401, False), (404, False), (429, False), (500, False)],
)
def test_any_other_status_is_no_acceptance_and_a_redirect_is_not_followed(
    folder: Path, status: int, only_this: bool
) -> None:
    received = Received(status)
    with pytest.raises(SinkError) as refused:
        received.during(delivering(folder))

    assert str(refused.value) == f"127.0.0.1: expected a status from 200 to 299, got {status}"
    assert refused.value.only_this is only_this
    assert len(received.requests) == 1


@pytest.mark.fault(225)
def test_a_sink_that_is_away_is_named_without_its_path(folder: Path) -> None:
    with pytest.raises(SinkError) as refused:
        asyncio.run(delivering(folder)("http://127.0.0.1:9/hook?token=hunter2"))

    assert str(refused.value).startswith("127.0.0.1: ")
    assert "hunter2" not in str(refused.value)
    assert not refused.value.only_this


@pytest.mark.fault(227)
@pytest.mark.parametrize("content", [None, "hunter2", "whsec_!", b"\xff\xfe"])
def test_without_a_usable_key_nothing_is_sent(folder: Path, content: str | bytes | None) -> None:
    key = folder / "key"
    key.unlink()
    if content is not None:
        key.write_bytes(content if isinstance(content, bytes) else content.encode())
    received = Received()
    with pytest.raises(SinkError, match=r"the key key of the Secret events\.signingSecret cannot be used") as refused:
        received.during(delivering(folder))

    assert received.requests == []
    assert "hunter2" not in str(refused.value)
    assert not refused.value.only_this


@pytest.mark.fault(227)
def test_a_key_that_is_replaced_is_used_at_once(folder: Path) -> None:
    received = Received()

    async def work(url: str) -> None:
        sink = HttpSink(SinkSettings(url, folder))
        await sink.deliver(EVENT)
        (folder / "key").write_text(f"whsec_{base64.b64encode(b'n' * 32).decode()}")
        await sink.deliver(EVENT)
        await sink.close()

    received.during(work)
    (old, _), (new, content) = received.requests
    assert old["webhook-signature"] != new["webhook-signature"]
    timestamp = int(new["webhook-timestamp"])
    expected = signed_headers(EVENT.id, timestamp, content, [b"n" * 32])
    assert new["webhook-signature"] == expected["webhook-signature"]


def test_an_authority_without_certificates_is_explained(folder: Path) -> None:
    (folder / "ca.crt").write_text("no certificate")
    with pytest.raises(SinkError, match=r"expected certificates in ca\.crt"):
        asyncio.run(delivering(folder)("https://127.0.0.1:9/"))
