"""kopf delivers watch events, writes nothing and remembers nothing."""

import asyncio
import inspect
from typing import Any

import kopf
import pytest

from smbferry_operator.cluster import kopf_events
from smbferry_operator.cluster.client import PAGE
from smbferry_operator.cluster.kopf_events import NoDiffs, NoMemories, kopf_settings
from smbferry_operator.model import Kind, Manifest


class Heard:
    """A consumer that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[tuple[Kind, str, bool]] = []

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    def seen(self, kind: Kind, body: Manifest, *, deleted: bool) -> None:
        self.events.append((kind, body["metadata"]["name"], deleted))


def test_kopf_watches_only_our_own_jobs_and_pods_and_writes_nothing() -> None:
    settings = kopf_settings("")

    selector = "app.kubernetes.io/managed-by=smbferry-operator,!smbferry.io/class"
    assert set(settings.watching.label_selectors.values()) == {selector}
    assert len(settings.watching.label_selectors) == 2
    assert settings.posting.enabled is False
    assert settings.scanning.disabled is True


def test_kopf_lists_by_pages_and_hands_each_event_on_at_once() -> None:
    settings = kopf_settings("")

    assert settings.watching.chunk_size == PAGE
    assert settings.queueing.worker_limit is None
    assert settings.watching.inactivity_timeout < 2 * 60, "kopf reconnects before the liveness probe gives up"


def test_kopf_remembers_nothing_of_single_objects() -> None:
    memories = NoMemories()

    async def look_twice() -> bool:
        first = await memories.recall({"metadata": {"uid": "a"}}, noticed_by_listing=True)
        return first.noticed_by_listing and await memories.recall({"metadata": {"uid": "a"}}) is not first

    assert asyncio.run(look_twice())
    assert list(memories.iter_all_memories()) == []


def test_what_is_private_in_kopf_is_as_it_was() -> None:
    """Should an upgrade change it, this fails before an operator keeps thousands of records."""
    assert "ephemeral" in inspect.signature(NoMemories.__mro__[1].recall).parameters  # type: ignore[attr-defined]
    assert "memories" in inspect.signature(kopf.run).parameters


def test_kopf_copies_no_object_to_compare_it() -> None:
    assert NoDiffs().build(body={"spec": {"trigger": "x"}}) == {}
    assert NoDiffs().fetch(body={"spec": {"trigger": "x"}}) is None


def test_each_kind_has_a_handler_that_passes_the_object_on(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: dict[str, Any] = {}

    def on_event(_group: str, _version: str, plural: str, *, id: str) -> object:  # noqa: A002 - kopf's own name
        def keep(handler: object) -> object:
            handlers[plural] = handler
            assert id == f"seen-{plural}"
            return handler

        return keep

    monkeypatch.setattr(kopf.on, "event", on_event)
    heard = Heard()
    kopf_events.register(heard)
    gone = {"type": "DELETED", "object": {"metadata": {"name": "nightly"}}}
    for plural in ("transfertasks", "pods"):
        asyncio.run(handlers[plural](event=gone))

    assert len(handlers) == len(Kind)
    assert heard.events == [(Kind.TASK, "nightly", True), (Kind.POD, "nightly", True)]
