"""Sends an event to the sink by HTTP."""

import ssl
import time
from pathlib import Path
from typing import Final

import aiohttp
import certifi

from smbferry_operator.notify.cloud_event import CONTENT_TYPE, CloudEvent
from smbferry_operator.notify.signature import SigningKeyError, parse_keys, signed_headers
from smbferry_operator.settings import SinkSettings

TIMEOUT: Final = aiohttp.ClientTimeout(total=10, sock_connect=5)
KEY, AUTHORITY = "key", "ca.crt"
"""Files of the mounted Secret: the signing keys, and the certificates of the sink's own authority, if any."""
ACCEPTED: Final = range(200, 300)
ABOUT_THE_EVENT: Final = frozenset({400, 413, 415, 422})
"""Statuses by which a sink refuses one event; all others say that it accepts nothing now."""


class SinkError(Exception):
    """An event was not accepted; the message says why."""

    def __init__(self, message: str, *, only_this: bool = False) -> None:
        """Creates the error.

        Args:
            only_this: the sink refused this event and may accept others.
        """
        super().__init__(message)
        self.only_this = only_this


class HttpSink:
    """The sink over HTTP or HTTPS. Redirects are not followed."""

    def __init__(self, settings: SinkSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, event: CloudEvent) -> None:
        """Sends one event; returns once the sink has accepted it.

        Raises:
            SinkError: it has not.
        """
        headers = signed_headers(event.id, int(time.time()), event.content, self._keys())
        try:
            async with self._connected().post(
                self._settings.url,
                data=event.content,
                headers={"Content-Type": CONTENT_TYPE, **headers},
                allow_redirects=False,
            ) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SinkError(f"{self._settings.host}: {error or 'no answer in time'}") from error
        if status not in ACCEPTED:
            message = f"{self._settings.host}: expected a status from 200 to 299, got {status}"
            raise SinkError(message, only_this=status in ABOUT_THE_EVENT)

    async def close(self) -> None:
        """Closes the connection."""
        if self._session is not None:
            await self._session.close()

    def _keys(self) -> tuple[bytes, ...]:
        """The keys as they are now: the kubelet replaces the file when the Secret changes."""
        try:
            return parse_keys((self._settings.folder / KEY).read_text(encoding="ascii"))
        except (OSError, UnicodeDecodeError, SigningKeyError) as error:
            why = error if isinstance(error, SigningKeyError) else type(error).__name__
            raise SinkError(f"the key {KEY} of the Secret events.signingSecret cannot be used: {why}") from None

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=1, ssl=_trust(self._settings.folder / AUTHORITY)),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=TIMEOUT,
            )
        return self._session


def _trust(authority: Path) -> ssl.SSLContext:
    """Trusts the authority in the Secret if it names one, otherwise the public ones.

    Raises:
        SinkError: the file has no certificate.
    """
    given = authority if authority.exists() else Path(certifi.where())
    try:
        return ssl.create_default_context(cafile=given)
    except (ssl.SSLError, OSError) as error:
        raise SinkError(f"expected certificates in {given.name}: {error}") from error
