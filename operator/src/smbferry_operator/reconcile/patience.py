"""How long an object waits for identities of the same account, which may be in namespaces of other people."""

from datetime import datetime, timedelta
from typing import Final

from smbferry_operator.decide.decision import Decision
from smbferry_operator.model import Key


class Patience:
    """Limits each wait to `ENOUGH`, so that nobody can delay others for longer by keeping an identity busy."""

    ENOUGH: Final = timedelta(minutes=1)

    def __init__(self) -> None:
        self._since: dict[Key, datetime] = {}

    def choose(self, key: Key, waits: Decision, proceeds: Decision, now: datetime) -> Decision:
        """Returns one of two decisions about the same object.

        Args:
            waits: the decision that respects the account's other identities.
            proceeds: the decision that ignores them.
        """
        if waits.create or not proceeds.create:
            self._since.pop(key, None)
            return waits
        if now - self._since.setdefault(key, now) < self.ENOUGH:
            return waits
        del self._since[key]
        return proceeds
