"""One changing lab command at a time, and one that builds what no other needs."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .progress import Progress
    from .settings import Settings


@contextmanager
def held(settings: Settings, progress: Progress, name: str = "lock") -> Iterator[None]:
    """Hold the lab's lock; waits, and says so, while another command has it. The kernel lets go of it when we end.

    What takes long and is nobody else's has a lock with another `name`.
    """
    settings.cache.mkdir(parents=True, exist_ok=True)
    with (settings.cache / name).open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say("  · waiting for another lab command to end")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
