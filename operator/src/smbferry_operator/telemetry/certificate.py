"""The certificate of the metrics' server: files that the kubelet replaces when their Secret changes."""

import logging
import ssl
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

CERTIFICATE: Final = "tls.crt"
KEY: Final = "tls.key"


class CertificateError(ValueError):
    """The files are missing or are no certificate with its key."""


class Certificate:
    """A certificate and its key in a folder; new connections use the newest."""

    def __init__(self, folder: Path) -> None:
        """Reads both.

        Raises:
            CertificateError: they cannot be used.
        """
        self._folder = folder
        self._seen = self._version()
        self._newest = self._read()
        self.context = self._read()
        """For a server. It is replaced at each handshake by the newest."""
        self.context.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        """Gives a connection the newest certificate; one that cannot be used is not used."""
        if (version := self._version()) != self._seen:
            self._seen = version
            try:
                self._newest = self._read()
            except CertificateError as error:
                logger.warning("the metrics are served with the earlier certificate: %s", error)
        connection.context = self._newest

    def _version(self) -> tuple[int, ...]:
        files = (self._folder / CERTIFICATE, self._folder / KEY)
        return tuple(file.stat().st_mtime_ns for file in files if file.exists())

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self._folder / CERTIFICATE, self._folder / KEY)
        except (OSError, ssl.SSLError) as error:
            raise CertificateError(
                f"expected a certificate and its key in {self._folder} ({CERTIFICATE}, {KEY}): {error}"
            ) from error
        return context
