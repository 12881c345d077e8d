"""Serves probes on one port and metrics on another."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
ANY_ADDRESS: Final = "0.0.0.0"  # noqa: S104 - the kubelet and Prometheus come from outside of the pod


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a probe."""

    good: bool
    facts: dict[str, Any]


class Server:
    """The HTTP server for probes and metrics."""

    def __init__(
        self, *, alive: Callable[[], Verdict], ready: Callable[[], Verdict], metrics: Callable[[], bytes]
    ) -> None:
        self._health = web.Application()
        self._health.add_routes([web.get("/healthz", _answering(alive)), web.get("/readyz", _answering(ready))])
        self._metrics = web.Application()
        self._metrics.add_routes([web.get("/metrics", _exposing(metrics))])
        self._runners: list[web.AppRunner] = []

    async def start(self, health_port: int, metrics_port: int) -> None:
        """Starts to listen.

        Raises:
            OSError: a port is in use.
        """
        for application, port in ((self._health, health_port), (self._metrics, metrics_port)):
            runner = web.AppRunner(application, handle_signals=False, access_log=None, shutdown_timeout=1.0)
            await runner.setup()
            self._runners.append(runner)
            await web.TCPSite(runner, ANY_ADDRESS, port).start()

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


def _exposing(metrics: Callable[[], bytes]) -> Handler:
    async def expose(_request: web.Request) -> web.StreamResponse:
        # In a thread: with thousands of objects it takes a second, in which the event loop must not stand.
        return web.Response(body=await asyncio.to_thread(metrics), headers={"Content-Type": METRICS_TYPE})

    return expose
