"""Which krb5.conf libkrb5 reads: it looks in the environment, which is the whole process's, so there is one lock."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Anything that would add to what the configuration says, or stand before the cache and keytab that a caller names.
_NAMES = ("KRB5_CONFIG", "KRB5CCNAME", "KRB5_KTNAME", "KRB5_CLIENT_KTNAME")
_lock = threading.RLock()


@contextmanager
def krb5_environment(config: str) -> Iterator[None]:
    """Within, this process's libkrb5 reads the file at ``config`` and nothing else.

    Whoever calls libkrb5 does it in here, whatever the thread: two sides of a transfer, or a transfer and the renewal
    of its tickets, may need different files. May be nested. Another thread waits for as long as the block takes.
    """
    with _lock:
        before = {name: os.environ.pop(name, None) for name in _NAMES}
        os.environ["KRB5_CONFIG"] = config
        try:
            yield
        finally:
            del os.environ["KRB5_CONFIG"]
            os.environ.update({name: value for name, value in before.items() if value is not None})
