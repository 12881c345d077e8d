"""Credits (3.2.4.1.2, 3.2.4.1.5): the server's permission to send, and the message ids that come with it."""

from smbferry_engine.core.errors import ProtocolError

CREDIT_BYTES = 65536
_MAX_WINDOW = 1 << 20


def charge_for(payload: int) -> int:
    """Credits that a request with ``payload`` bytes, sent or expected, costs (3.1.5.2)."""
    return max(1, -(-payload // CREDIT_BYTES))


class CreditWindow:
    """How many credits there are, how many are out, and which message id comes next.

    ``target`` is how many credits we should like to hold; every request asks for what is missing, up to ``step``.
    """

    def __init__(self, next_message_id: int, available: int, *, target: int = 1024, step: int = 256) -> None:
        self._next = next_message_id
        self._available = available
        self._spent = 0
        self._target = target
        self._step = step

    @property
    def available(self) -> int:
        """Credits that can be spent now."""
        return self._available

    @property
    def total(self) -> int:
        """Credits that can be spent when everything in flight has been answered and given its charge back."""
        return self._available + self._spent

    @property
    def next_message_id(self) -> int:
        """The message id that the next request gets."""
        return self._next

    def take(self, charge: int) -> int:
        """Spend ``charge`` credits and return the message id; the caller has looked at :attr:`available`."""
        if charge > self._available:
            raise ProtocolError(f"{charge} credits wanted, {self._available} are there")
        message_id = self._next
        self._next += charge
        self._available -= charge
        self._spent += charge
        return message_id

    def request(self, charge: int) -> int:
        """What to ask for in a request that costs ``charge``: at least that back, more while the window is small."""
        missing = self._target - self.total
        return charge + max(0, min(missing, self._step))

    def granted(self, credits_: int) -> None:
        """A reply granted ``credits_``."""
        self._available += credits_
        if self._available > _MAX_WINDOW:
            raise ProtocolError(f"a credit window of at most {_MAX_WINDOW} expected, the server granted more")

    def answered(self, charge: int) -> None:
        """A request that cost ``charge`` has got its final reply."""
        self._spent -= charge
