"""The watch of Secrets' metadata: what counts as a change, and which identities it concerns."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.support.builders import (
    IDENTITY_GOOD,
    NOW,
    SETTINGS,
    checks,
    condition,
    identity,
    identity_body,
    ready,
)
from tests.unit.operator.test_client import Transport

from smbferry_api.fields import format_time
from smbferry_operator.cluster import metadata
from smbferry_operator.cluster.client import Cluster, Listing
from smbferry_operator.cluster.errors import ClusterError, UnavailableError
from smbferry_operator.cluster.metadata import MetadataWatch
from smbferry_operator.decide.identity import decide_identity
from smbferry_operator.decide.observation import IdentityObservation
from smbferry_operator.model import Key, Kind
from smbferry_operator.observe.cache import Cache

Told = list[tuple[str, str, str]]


def meta(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"namespace": "team", "name": name, "resourceVersion": str(version)}}


def event(kind: str, name: str, version: int) -> dict[str, Any]:
    return {"type": kind, "object": meta(name, version)}


class Script:
    """A cluster that answers lists and streams as it is told, and then ends the watch."""

    def __init__(self, *rounds: tuple[list[dict[str, Any]], list[dict[str, Any]] | ClusterError]) -> None:
        self.rounds = list(rounds)
        self.asked: list[int] = []
        self.watch: MetadataWatch | None = None

    def list_metadata(self, _kind: str, _namespace: str | None) -> Listing:
        return Listing(self.rounds[0][0], 100 + len(self.asked))

    def stream_metadata(self, _kind: str, _namespace: str | None, version: int) -> Iterator[dict[str, Any]]:
        self.asked.append(version)
        _, events = self.rounds.pop(0)
        if isinstance(events, ClusterError):
            raise events
        yield from events
        if not self.rounds:
            assert self.watch is not None
            self.watch.stop()


def told(*rounds: tuple[list[dict[str, Any]], list[dict[str, Any]] | ClusterError]) -> Told:
    found: Told = []
    script = Script(*rounds)
    script.watch = MetadataWatch(cast("Cluster", script), "Secret", None, lambda *what: found.append(what))
    script.watch.follow()
    return found


@pytest.mark.parametrize(
    ("rounds", "names"),
    [
        pytest.param([([meta("a", 1)], [])], [], id="what is there already is no news"),
        pytest.param([([meta("a", 1)], [event("MODIFIED", "a", 2)])], ["a"], id="changed"),
        pytest.param([([meta("a", 1)], [event("ADDED", "a", 1)])], [], id="told again"),
        pytest.param([([], [event("ADDED", "a", 1)])], ["a"], id="created"),
        pytest.param([([meta("a", 1)], [event("DELETED", "a", 1)])], ["a"], id="deleted"),
        pytest.param([([meta("a", 1)], []), ([meta("a", 2)], [])], ["a"], id="changed between two streams"),
        pytest.param([([meta("a", 1)], []), ([], [])], ["a"], id="deleted between two streams"),
        pytest.param(
            [([meta("a", 1)], [{"type": "ERROR", "object": {"code": 410}}, event("MODIFIED", "b", 9)]), ([], [])],
            ["a"],
            id="a version too old: listed again",
        ),
        pytest.param(
            [([meta("a", 1)], UnavailableError("away")), ([meta("a", 1), meta("b", 2)], [])],
            ["b"],
            id="after a failure",
        ),
    ],
)
def test_what_is_told(rounds: Any, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "RETRY_SECONDS", 0)
    assert told(*rounds) == [("Secret", "team", name) for name in names]


class Stream:
    """A response that is read line by line."""

    def __init__(self, *lines: dict[str, Any]) -> None:
        self._lines = [json.dumps(line).encode() for line in lines]
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._lines)

    def close(self) -> None:
        self.closed = True


class MetadataTransport(Transport):
    """Remembers what was accepted, and streams."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer
        self.accepted: list[str] = []

    def param_serialize(self, method: str, path: str, **more: Any) -> tuple[Any, ...]:
        self.accepted.append(more["header_params"]["Accept"])
        return super().param_serialize(method, path, **more)

    def call_api(self, *_request: Any, _request_timeout: float) -> Any:
        return self.answer


def test_only_metadata_is_asked_for() -> None:
    page = {"metadata": {"resourceVersion": "7"}, "items": [meta("a", 1)]}
    listing = MetadataTransport(SimpleNamespace(status=200, read=lambda: json.dumps(page).encode()))
    assert Cluster(cast("Any", listing)).list_metadata("Secret", "team") == Listing([meta("a", 1)], 7)
    assert listing.accepted == ["application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"]

    lines = Stream(event("ADDED", "a", 1), event("MODIFIED", "a", 8))
    streaming = MetadataTransport(SimpleNamespace(status=200, response=lines))
    events = list(Cluster(cast("Any", streaming)).stream_metadata("Secret", None, 7))
    assert [e["type"] for e in events] == ["ADDED", "MODIFIED"]
    assert lines.closed
    assert streaming.accepted == ["application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"]
    ((_, path, query, _),) = streaming.requests
    assert (path, query["watch"], query["resourceVersion"]) == ("/api/v1/secrets", "true", "7")


def test_a_changed_object_concerns_the_identities_that_name_it() -> None:
    cache = Cache()
    for name, namespace in (("one", "team"), ("two", "team"), ("one", "other")):
        cache.put(Kind.IDENTITY, identity_body(name, namespace=namespace))
    assert cache.identities_with("Secret", "team", "one-keytab") == [Key(Kind.IDENTITY, "team", "one")]
    assert cache.identities_with("Secret", "team", "corp-krb5") == []
    both = [Key(Kind.IDENTITY, "team", name) for name in ("one", "two")]
    assert cache.identities_with("ConfigMap", "team", "corp-krb5") == both


@pytest.mark.parametrize("failing", [False, True])
def test_an_identity_whose_secret_changed_is_checked_at_once(failing: bool) -> None:
    verdict = {"TicketAcquired": ("False", "KeytabStale")} if failing else {}
    sums_up = condition("Ready", "False", "KeytabStale") if failing else ready()
    status = {
        "conditions": [*checks(IDENTITY_GOOD, verdict), sums_up],
        "lastCheckTime": format_time(NOW),
        "nextCheckTime": format_time(NOW.replace(hour=13)),
    }
    seen = IdentityObservation(identity(status=status), outdated=True)
    assert decide_identity(seen, NOW, SETTINGS).create
