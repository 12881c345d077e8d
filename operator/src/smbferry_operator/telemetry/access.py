"""Who may read the metrics: accounts that the API server knows by their token and allows `get /metrics`.

TokenReview and SubjectAccessReview, as controller-runtime's metrics server does (ADR 50).
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol

from smbferry_operator.cluster.errors import ClusterError
from smbferry_operator.model import Manifest

logger = logging.getLogger(__name__)

PATH: Final = "/metrics"
SCHEME: Final = "bearer"
ALLOWED_SECONDS: Final = 60.0
REFUSED_SECONDS: Final = 10.0
MOST_TOKENS: Final = 128


class Reviews(Protocol):
    """The API server, asked about a token or a permission."""

    async def review(self, kind: str, spec: Manifest) -> Manifest:
        """Returns the status of a review.

        Raises:
            ClusterError: there was no answer, or the operator may not ask.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Known:
    status: HTTPStatus
    until: float


class MetricsAccess:
    """Decides about requests by their token. Answers are kept for a minute, refusals for some seconds."""

    def __init__(self, reviews: Reviews, clock: Callable[[], float] = time.monotonic) -> None:
        self._reviews = reviews
        self._clock = clock
        self._known: dict[bytes, _Known] = {}
        self._asking = asyncio.Lock()

    async def status_for(self, authorization: str) -> HTTPStatus:
        """OK, or the status of the refusal.

        Args:
            authorization: the header of the request, empty if it has none.
        """
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != SCHEME or not token:
            return HTTPStatus.UNAUTHORIZED
        key = hashlib.sha256(token.encode()).digest()
        if (known := self._kept(key)) is not None:
            return known
        async with self._asking:  # a flood of unknown tokens is one request at a time for the API server
            if (known := self._kept(key)) is not None:
                return known
            try:
                found = await self._ask(token)
            except ClusterError as error:
                logger.warning("could not decide who may read the metrics: %s", error)
                return HTTPStatus.SERVICE_UNAVAILABLE
            self._keep(key, found)
            return found

    async def _ask(self, token: str) -> HTTPStatus:
        who = await self._reviews.review("TokenReview", {"token": token})
        if not who.get("authenticated"):
            return HTTPStatus.UNAUTHORIZED
        user = who.get("user") or {}
        about = {field: user[field] for field in ("uid", "groups", "extra") if user.get(field)}
        asked = {"user": user.get("username"), **about, "nonResourceAttributes": {"path": PATH, "verb": "get"}}
        may = await self._reviews.review("SubjectAccessReview", asked)
        return HTTPStatus.OK if may.get("allowed") else HTTPStatus.FORBIDDEN

    def _kept(self, key: bytes) -> HTTPStatus | None:
        known = self._known.get(key)
        return known.status if known is not None and self._clock() < known.until else None

    def _keep(self, key: bytes, status: HTTPStatus) -> None:
        now = self._clock()
        self._known = {other: known for other, known in self._known.items() if now < known.until and other != key}
        while len(self._known) >= MOST_TOKENS:  # the refused first: nobody drives the real reader out
            self._known.pop(min(self._known, key=lambda other: self._known[other].status is HTTPStatus.OK))
        self._known[key] = _Known(status, now + (ALLOWED_SECONDS if status is HTTPStatus.OK else REFUSED_SECONDS))
