"""Serves probes on one port and metrics on another, for everyone or over TLS for those who may read them."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from smbferry_operator.telemetry.access import PATH, MetricsAccess

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
ANY_ADDRESS: Final = "0.0.0.0"  # noqa: S104 - the kubelet and Prometheus come from outside of the pod


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a probe."""

    good: bool
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Protection:
    """How the metrics are protected. Tokens are never received without TLS."""

    access: MetricsAccess
    context: ssl.SSLContext


class Server:
    """The HTTP server for probes and metrics."""

    def __init__(
        self,
        *,
        alive: Callable[[], Verdict],
        ready: Callable[[], Verdict],
        metrics: Callable[[], bytes],
        protection: Protection | None = None,
    ) -> None:
        """Creates a server that does not listen.

        Args:
            protection: of the metrics; everyone may read them if None.
        """
        self._health = web.Application()
        self._health.add_routes([web.get("/healthz", _answering(alive)), web.get("/readyz", _answering(ready))])
        self._metrics = web.Application()
        expose = _exposing(metrics)
        self._metrics.add_routes([web.get(PATH, _guarded(expose, protection.access) if protection else expose)])
        self._context = protection.context if protection else None
        self._runners: list[web.AppRunner] = []

    async def start(self, health_port: int, metrics_port: int) -> None:
        """Starts to listen.

        Raises:
            OSError: a port is in use.
        """
        listeners = ((self._health, health_port, None), (self._metrics, metrics_port, self._context))
        for application, port, context in listeners:
            runner = web.AppRunner(application, handle_signals=False, access_log=None, shutdown_timeout=1.0)
            await runner.setup()
            self._runners.append(runner)
            await web.TCPSite(runner, ANY_ADDRESS, port, ssl_context=context).start()

    @property
    def ports(self) -> list[int]:
        """The ports that it listens on: of probes, then of metrics."""
        return [int(address[1]) for runner in self._runners for address in runner.addresses]

    async def stop(self) -> None:
        """Stops listening."""
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _answering(probe: Callable[[], Verdict]) -> Handler:
    async def answer(_request: web.Request) -> web.StreamResponse:
        verdict = probe()
        return web.json_response(verdict.facts, status=200 if verdict.good else 503)

    return answer


def _guarded(handler: Handler, access: MetricsAccess) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        status = await access.status_for(request.headers.get("Authorization", ""))
        if status is HTTPStatus.OK:
            return await handler(request)
        headers = {"WWW-Authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else {}
        return web.Response(status=status, text=f"{status.phrase}\n", headers=headers)

    return answer


def _exposing(metrics: Callable[[], bytes]) -> Handler:
    async def expose(_request: web.Request) -> web.StreamResponse:
        # In a thread: with thousands of objects it takes a second, in which the event loop must not stand.
        return web.Response(body=await asyncio.to_thread(metrics), headers={"Content-Type": METRICS_TYPE})

    return expose
