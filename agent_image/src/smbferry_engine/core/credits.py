"""Credits (3.2.4.1.2, 3.2.4.1.5): the server's permission to send, and the message ids that come with it."""

from smbferry_engine.core.errors import ProtocolError

CREDIT_BYTES = 65536
_MAX_WINDOW = 1 << 20


def charge_for(payload: int) -> int:
    """Credits that a request with ``payload`` bytes, sent or expected, costs (3.1.5.2)."""
    return max(1, -(-payload // CREDIT_BYTES))


class CreditWindow:
    """The credits that are available, those that are spent, and the next message id.

    ``target`` is how many credits to hold; each request asks for what is missing, up to ``step``. ``asked_with`` is the
    largest number of credits at which an ECHO has asked for more, ``echoes`` how many such ECHOes were sent in a row.
    """

    def __init__(self, next_message_id: int, available: int, *, target: int = 1024, step: int = 256) -> None:
        self._next = next_message_id
        self._available = available
        self._spent = 0
        self._target = target
        self._step = step
        self.asked_with = 0
        self.echoes = 0

    @property
    def available(self) -> int:
        """Credits that can be spent now."""
        return self._available

    @property
    def total(self) -> int:
        """Credits that are available once all outstanding requests are answered."""
        return self._available + self._spent

    @property
    def next_message_id(self) -> int:
        """The message id that the next request gets."""
        return self._next

    def take(self, charge: int) -> int:
        """Spend ``charge`` credits and return the message id; the caller has checked :attr:`available`."""
        if charge > self._available:
            raise ProtocolError(f"expected {charge} credits, got {self._available}")
        message_id = self._next
        self._next += charge
        self._available -= charge
        self._spent += charge
        return message_id

    def request(self, charge: int) -> int:
        """Return how many credits a request that costs ``charge`` asks for: at least as many, more if the window is
        small.
        """
        missing = self._target - self.total
        return charge + max(0, min(missing, self._step))

    def granted(self, credits_: int) -> None:
        """Add the credits that a reply granted."""
        self._available += credits_
        if self._available > _MAX_WINDOW:
            raise ProtocolError(f"expected a credit window of at most {_MAX_WINDOW}, the server granted more")

    def answered(self, charge: int) -> None:
        """Record the final reply to a request that cost ``charge``."""
        self._spent -= charge
