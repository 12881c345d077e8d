"""With thousands of objects: what is kept of each, what the first decision has to take in, and a scrape beside them."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc
import urllib.request
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.support.builders import (
    LOCATION_GOOD,
    agent_body,
    checks,
    condition,
    identity_body,
    location_body,
    run_body,
    snapshot,
    task_body,
)

from smbferry_operator.decide.limits import RunLimits
from smbferry_operator.model import Key, Kind
from smbferry_operator.observe.cache import Cache
from smbferry_operator.observe.fleet import Fleet
from smbferry_operator.observe.reader import Reader
from smbferry_operator.telemetry.runs import RunTotals
from smbferry_operator.telemetry.serve import Server, Verdict

if TYPE_CHECKING:
    import pytest

RUNS, BYTES_OF_AN_ENDED_RUN = 300, 6000
OVER = {"conditions": [{"type": "Complete", "status": "True"}]}


def ended(cache: Cache, n: int) -> None:
    """A run that has ended, with its Job and its pod."""
    name, task = f"run-{n}", snapshot(f"task-{n}")
    status = {"state": "Succeeded", "task": task, "conditions": [condition("Succeeded", "True", "RunSucceeded")]}
    owner = (Kind.RUN, name, f"uid-{name}")
    cache.put(Kind.RUN, run_body(name, status, task_name=f"task-{n}"))
    cache.put(Kind.JOB, agent_body(Kind.JOB, f"job-{n}", owner, task=task, status=OVER))
    cache.put(Kind.POD, agent_body(Kind.POD, f"pod-{n}", owner, task=task, status={"phase": "Succeeded"}))


def test_an_ended_run_with_its_job_and_its_pod_takes_a_few_kilobytes() -> None:
    cache = Cache()
    ended(cache, RUNS)  # the dictionaries that all others share
    tracemalloc.start()
    try:
        for n in range(RUNS):
            ended(cache, n)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept / RUNS < BYTES_OF_AN_ENDED_RUN


def crowd() -> Cache:
    """Runs that wait, all between two locations of one identity."""
    cache = Cache()
    cache.put(Kind.IDENTITY, identity_body())
    for name in ("src", "dst"):
        cache.put(Kind.LOCATION, location_body(name, {"conditions": checks(LOCATION_GOOD)}))
    cache.put(Kind.TASK, task_body())
    waits = {"state": "Queued", "conditions": [condition("Succeeded", "Unknown", "LimitReached")]}
    for n in range(RUNS):
        cache.put(Kind.RUN, run_body(f"run-{n}", waits))
    return cache


def test_at_a_start_each_run_is_looked_at_once_and_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Key] = []
    look_at = Fleet._look_at

    def counted(fleet: Fleet, run: Key) -> None:
        looks.append(run)
        look_at(fleet, run)

    monkeypatch.setattr(Fleet, "_look_at", counted)
    fleet, batches = Fleet(Reader(crowd()), RunLimits(4, None, None)), [0]
    while not fleet.refresh(50):
        batches.append(len(looks))

    assert len(looks) == len(set(looks)) == RUNS
    assert max(later - sooner for sooner, later in pairwise(batches)) <= 50


def test_a_change_of_what_all_runs_use_is_taken_in_a_few_runs_at_a_time() -> None:
    cache = crowd()
    fleet = Fleet(Reader(cache), RunLimits(4, None, None))
    fleet.refresh()
    cache.put(Kind.TASK, task_body(version=2, priority=3))

    refreshes = 1
    while not fleet.refresh(50):
        refreshes += 1
    assert refreshes == 1 + RUNS // 50


def test_ended_runs_are_counted_without_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache()
    for n in range(3):
        ended(cache, n)
    monkeypatch.setattr(cache, "get", lambda _key: (_ for _ in ()).throw(AssertionError("it was read")))

    assert RunTotals.of(cache).states == {("team", "Succeeded"): 3}


def test_the_event_loop_goes_on_while_metrics_are_made() -> None:
    """The metrics are made only after something else has happened on the event loop."""
    scraping, happened = threading.Event(), threading.Event()

    def metrics() -> bytes:
        scraping.set()
        assert happened.wait(30)
        return b"made 1\n"

    async def scrape() -> bytes:
        server = Server(alive=lambda: Verdict(good=True, facts={}), ready=lambda: Verdict(good=True, facts={}),
                        metrics=metrics)  # fmt: skip
        await server.start(0, 0)
        port = server.ports[1]
        asked = asyncio.create_task(asyncio.to_thread(_read, f"http://127.0.0.1:{port}/metrics"))
        while not scraping.is_set():
            await asyncio.sleep(0)
        happened.set()
        answer = await asked
        await server.stop()
        return answer

    assert asyncio.run(scrape()) == b"made 1\n"


def _read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return bytes(answer.read())
