"""Runs several tasks that succeed or fail together."""

from collections.abc import Coroutine, Iterable
from typing import Any

from smbferry_engine.runtime.tasks import Scheduler, Signal, Task


async def run_all(scheduler: Scheduler, coroutines: Iterable[Coroutine[Any, None, None]]) -> None:
    """Run all coroutines to their ends; the first error closes the others and is raised."""
    tasks: list[Task[None]] = [scheduler.spawn(coroutine) for coroutine in coroutines]
    done: Signal[None] = Signal()
    remaining = len(tasks)

    def finished(task: Task[None]) -> None:
        nonlocal remaining
        remaining -= 1
        if task.error is not None:
            done.fail(task.error)
        elif remaining == 0:
            done.resolve(None)

    for task in tasks:
        task.when_done(lambda task=task: finished(task))  # type: ignore[misc]  # binds this turn's task
    if tasks:
        try:
            await done
        finally:
            for task in tasks:
                if not task.done:
                    task.close()
