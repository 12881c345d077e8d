"""One operator from start to stop, against an API server that only lists."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest
from tests.support.builders import identity_body

from smbferry_operator.cluster.client import Cluster, Listing
from smbferry_operator.decide.lease import LeaseRecord
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.leader import Fence
from smbferry_operator.model import Kind
from smbferry_operator.service import Service
from smbferry_operator.settings import Settings, SinkSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from smbferry_operator.model import Manifest


class Lists:
    """An API server that lists these identities and accepts no write."""

    def __init__(self, *identities: Manifest) -> None:
        self.identities = identities
        self.asked: list[Kind] = []

    async def pages(self, kind: Kind, _namespace: str | None, _selector: str = "") -> AsyncIterator[Listing]:
        self.asked.append(kind)
        yield Listing(list(self.identities) if kind is Kind.IDENTITY else [], 7)


class Taken:
    """A lease that another operator holds."""

    async def read(self) -> LeaseRecord | None:
        return LeaseRecord("another", 12, 1, "7")

    async def write(self, *_: object) -> LeaseRecord:
        raise AssertionError("the lease is another's")


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


SETTINGS = Settings(AgentSettings(image="agent:1"), health_port=0, metrics_port=0)


async def life(
    lists: Lists, fence: Fence, store: Taken | None, settings: Settings = SETTINGS
) -> tuple[bool, bool, int]:
    """Whether it leads and is alive after its start, and how many objects are queued then."""
    cluster = cast("Cluster", lists)
    service = Service(settings, cluster, fence, (store, "me") if store else None, unfenced=cluster)
    assert not service.health.ready().good
    await service.start()
    for _ in range(50):
        await asyncio.sleep(0)
    found = (
        bool(service.health.ready().facts["leading"]),
        service.health.alive().good,
        service.health.alive().facts["ready"],
    )
    assert service.health.ready().good
    await service.stop()
    assert not service.health.ready().good
    return found


def test_without_an_election_it_lists_twice_what_decides_and_acts() -> None:
    lists = Lists()
    assert asyncio.run(life(lists, Fence(), None)) == (True, True, 0)
    assert lists.asked == [*Kind, Kind.RUN, Kind.JOB, Kind.POD]


def test_while_another_leads_it_is_ready_and_decides_nothing() -> None:
    lists = Lists(identity_body(version=7))
    assert asyncio.run(life(lists, Fence(), Taken())) == (False, True, 1)
    assert lists.asked == [*Kind]


def test_with_a_sink_that_is_away_it_starts_and_stops_as_without_one(tmp_path: Path) -> None:
    lists = Lists(identity_body(version=7))
    sink = SinkSettings("http://127.0.0.1:9/", tmp_path)
    assert asyncio.run(life(lists, Fence(), Taken(), replace(SETTINGS, sink=sink))) == (False, True, 1)
