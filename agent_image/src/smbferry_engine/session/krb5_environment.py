"""Selects the krb5.conf that libkrb5 reads. It is named by the process's environment, so there is one lock."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Variables that add to the configuration, or override the cache and keytab that a caller names.
_NAMES = ("KRB5_CONFIG", "KRB5CCNAME", "KRB5_KTNAME", "KRB5_CLIENT_KTNAME")
_lock = threading.RLock()


@contextmanager
def krb5_environment(config: str) -> Iterator[None]:
    """Within this context, libkrb5 reads the file at ``config`` and no other.

    All calls of libkrb5 must be made in it, in any thread: the two sides of a transfer, or a transfer and the renewal
    of its tickets, may need different files. It may be nested. Other threads wait until the block ends.
    """
    with _lock:
        before = {name: os.environ.pop(name, None) for name in _NAMES}
        os.environ["KRB5_CONFIG"] = config
        try:
            yield
        finally:
            del os.environ["KRB5_CONFIG"]
            os.environ.update({name: value for name, value in before.items() if value is not None})
