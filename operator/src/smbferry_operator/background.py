"""Tasks of the event loop that run until the operator stops."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Background:
    """Named background tasks. One that ends with an exception makes the operator unhealthy."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Starts a task. An earlier task of the same name must have ended or been cancelled."""
        self._tasks[name] = asyncio.create_task(work, name=name)

    def cancel(self, name: str) -> None:
        """Cancels a task, if it was started."""
        if name in self._tasks:
            self._tasks[name].cancel()

    async def stop(self) -> None:
        """Cancels all tasks and waits for their end."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def problem(self) -> str | None:
        """Names a task that has failed, None if none has."""
        failed = next((name for name, task in self._tasks.items() if _failed(task)), None)
        return f"the task {failed!r} has ended" if failed else None


def _failed(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None
