"""Metrics for those whom the API server allows, over TLS."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from tests.support.api_server import certificate

from smbferry_operator.cluster.errors import ClusterError, RefusedError, UnavailableError
from smbferry_operator.telemetry.access import ALLOWED_SECONDS, MOST_TOKENS, REFUSED_SECONDS, MetricsAccess
from smbferry_operator.telemetry.certificate import Certificate, CertificateError
from smbferry_operator.telemetry.serve import Protection, Server, Verdict

if TYPE_CHECKING:
    from pathlib import Path

PROMETHEUS = {
    "username": "system:serviceaccount:monitoring:prometheus",
    "uid": "1",
    "groups": ["g"],
    "extra": {"x": ["y"]},
}


class Answers:
    """An API server that knows some tokens, of which one may read metrics."""

    def __init__(self, error: ClusterError | None = None) -> None:
        self.error = error
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def review(self, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((kind, spec))
        if self.error is not None:
            raise self.error
        if kind == "TokenReview":
            known = {"prometheus": PROMETHEUS, "stranger": {"username": "stranger"}}.get(spec["token"])
            return {"authenticated": True, "user": known} if known else {"authenticated": False}
        return {"allowed": spec["user"] == PROMETHEUS["username"]}


@pytest.mark.parametrize(
    ("header", "status", "reviews"),
    [
        ("Bearer prometheus", 200, 2),
        ("bearer  prometheus", 200, 2),
        ("Bearer stranger", 403, 2),
        ("Bearer unknown", 401, 1),
        ("Bearer ", 401, 0),
        ("Basic cHJvbWV0aGV1cw==", 401, 0),
        ("", 401, 0),
    ],
)
def test_who_may_read_metrics_is_what_the_api_server_says(header: str, status: int, reviews: int) -> None:
    answers = Answers()
    assert asyncio.run(MetricsAccess(answers).status_for(header)) == status
    assert len(answers.asked) == reviews


def test_the_api_server_is_asked_for_the_user_of_the_token_with_its_groups() -> None:
    answers = Answers()
    asyncio.run(MetricsAccess(answers).status_for("Bearer prometheus"))
    about = {name: PROMETHEUS[name] for name in ("uid", "groups", "extra")}
    wanted = {"user": PROMETHEUS["username"], **about, "nonResourceAttributes": {"path": "/metrics", "verb": "get"}}
    assert answers.asked == [("TokenReview", {"token": "prometheus"}), ("SubjectAccessReview", wanted)]


@pytest.mark.parametrize(("token", "kept"), [("prometheus", ALLOWED_SECONDS), ("stranger", REFUSED_SECONDS)])
def test_an_answer_is_kept_for_a_while_and_a_refusal_for_a_shorter_one(token: str, kept: float) -> None:
    now, answers = [0.0], Answers()
    access = MetricsAccess(answers, lambda: now[0])

    async def ask(at: float) -> int:
        now[0] = at
        await access.status_for(f"Bearer {token}")
        return len(answers.asked)

    async def asked() -> list[int]:
        return [await ask(at) for at in (0, kept - 1, kept, kept + 1)]

    assert asyncio.run(asked()) == [2, 2, 4, 4]


@pytest.mark.parametrize("error", [UnavailableError("no answer"), RefusedError("TokenReview", "forbidden")])
def test_without_an_answer_nobody_reads_metrics_and_the_next_request_asks_again(error: ClusterError) -> None:
    answers = Answers(error)
    access = MetricsAccess(answers)

    async def twice() -> list[int]:
        first = await access.status_for("Bearer prometheus")
        answers.error = None
        return [first, await access.status_for("Bearer prometheus")]

    assert asyncio.run(twice()) == [503, 200]


@pytest.mark.fault(224)
def test_a_flood_of_unknown_tokens_neither_fills_the_memory_nor_drives_out_who_may_read() -> None:
    answers = Answers()
    access = MetricsAccess(answers, lambda: 0.0)

    async def flood() -> int:
        await access.status_for("Bearer prometheus")
        await asyncio.gather(*(access.status_for(f"Bearer {n}") for n in range(3 * MOST_TOKENS)))
        before = len(answers.asked)
        await access.status_for("Bearer prometheus")
        return len(answers.asked) - before

    assert asyncio.run(flood()) == 0
    assert len(access._known) == MOST_TOKENS


# --- Over TLS --------------------------------------------------------------------------------------------------------


def issue(folder: Path) -> Path:
    """A new certificate where the kubelet would mount it; returns the file to trust."""
    certificate(folder / "tls.crt")
    (folder / "server.key").replace(folder / "tls.key")
    return folder / "tls.crt"


async def get(port: int, trusted: Path, path: str = "/metrics", token: str = "") -> tuple[int, str]:
    context = ssl.create_default_context(cafile=str(trusted))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"https://127.0.0.1:{port}{path}", ssl=context, headers=headers) as answer,
    ):
        return answer.status, await answer.text()


def serving(folder: Path) -> Server:
    good = Verdict(good=True, facts={})
    protection = Protection(MetricsAccess(Answers()), Certificate(folder).context)
    return Server(alive=lambda: good, ready=lambda: good, metrics=lambda: b"smbferry_ready 1\n", protection=protection)


@pytest.mark.fault(224)
def test_metrics_are_served_over_tls_only_to_who_may_read_them(tmp_path: Path) -> None:
    trusted = issue(tmp_path)

    async def requests() -> list[tuple[int, str]]:
        server = serving(tmp_path)
        await server.start(0, 0)
        try:
            _, port = server.ports
            async with aiohttp.ClientSession() as session:
                with pytest.raises(aiohttp.ClientError):
                    await session.get(
                        f"http://127.0.0.1:{port}/metrics", headers={"Authorization": "Bearer prometheus"}
                    )
            return [await get(port, trusted, token=token) for token in ("prometheus", "stranger", "")]
        finally:
            await server.stop()

    assert asyncio.run(requests()) == [(200, "smbferry_ready 1\n"), (403, "Forbidden\n"), (401, "Unauthorized\n")]


def test_a_renewed_certificate_is_used_and_a_broken_one_is_not(tmp_path: Path) -> None:
    before = tmp_path / "before.crt"

    async def requests() -> list[int]:
        server = serving(tmp_path)
        await server.start(0, 0)
        try:
            _, port = server.ports
            found = [(await get(port, before, token="prometheus"))[0]]
            trusted = issue(tmp_path)
            found.append((await get(port, trusted, token="prometheus"))[0])
            kept = tmp_path / "kept.crt"
            kept.write_bytes(trusted.read_bytes())
            (tmp_path / "tls.key").write_text("broken")
            found.append((await get(port, kept, token="prometheus"))[0])
            return found
        finally:
            await server.stop()

    before.write_bytes(issue(tmp_path).read_bytes())
    assert asyncio.run(requests()) == [200, 200, 200]


def test_without_a_certificate_the_operator_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"expected a certificate and its key in .*tls\.crt, tls\.key"):
        Certificate(tmp_path)
