"""Takes in objects, and remembers which versions the watches must still deliver."""

from smbferry_operator.clock import uptime
from smbferry_operator.model import Kind, Manifest
from smbferry_operator.observe.cache import key_of, version_of
from smbferry_operator.watch.echo import Echo, Stream
from smbferry_operator.watch.event_router import EventRouter


class Intake:
    """Where watch events and answers to writes come in."""

    def __init__(self, router: EventRouter, echo: Echo, *, by_namespace: bool) -> None:
        """Creates an intake.

        Args:
            by_namespace: each watched namespace has watches of its own.
        """
        self._router = router
        self._echo = echo
        self._by_namespace = by_namespace

    def seen(self, kind: Kind, body: Manifest, *, deleted: bool) -> None:
        """Takes in a watch event."""
        self._echo.heard(self._stream(kind, body), version_of(body))
        self._router.seen(kind, body, deleted=deleted)

    def written(self, kind: Kind, body: Manifest) -> None:
        """Takes in an object that this operator wrote; its watch must deliver it, too."""
        self._echo.expect(self._stream(kind, body), version_of(body), uptime())
        self._router.seen(kind, body)

    def _stream(self, kind: Kind, body: Manifest) -> Stream:
        return Stream(kind, key_of(kind, body).namespace if self._by_namespace else "")
