"""What is known of the cluster: the objects as last seen, and who refers to whom.

Fed by watches, by our own writes (so that a decision sees the one before it) and by a full list now and then, which
also finds what a watch has missed. The newest resourceVersion wins, whichever way it came.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from smbferry_api.names import LABEL_OWNER_KIND, LABEL_OWNER_UID
from smbferry_api.run_status import PhaseState, RunState
from smbferry_operator.decide.account import account_of
from smbferry_operator.decide.naming import ANNOTATION_DESTINATION, ANNOTATION_OWNER_NAME
from smbferry_operator.model import Key, Kind, Manifest

UNUSED_ANNOTATION: Final = "kubectl.kubernetes.io/last-applied-configuration"
TAG_WRITER: Final = "writer"
"""Jobs and pods that may write to a destination now."""
TAG_QUEUED: Final = "queued"
"""Runs that have not begun."""
TAG_STARTING: Final = "starting"
"""Runs whose agents have not said yet that their keys were taken."""
TAG_CHECK: Final = "check"
"""Jobs of checks that have not finished."""

BEFORE_TRANSFER: Final = frozenset({RunState.LAUNCHING.value, RunState.PREPARING.value})


@dataclass(slots=True)
class _Entry:
    body: Manifest
    version: int
    references: frozenset[Key]
    tags: frozenset[str]


class Cache:
    """Objects by key, by whom they refer to, and by tag. Not for threads: it lives on the event loop."""

    def __init__(self) -> None:
        self._entries: dict[Key, _Entry] = {}
        self._referrers: dict[tuple[Key, Kind], set[Key]] = {}
        self._tagged: dict[str, set[Key]] = {}
        self._gone: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._entries))

    def get(self, key: Key) -> Manifest | None:
        """The object, or None. It is not to be changed."""
        entry = self._entries.get(key)
        return entry.body if entry else None

    def referrers(self, key: Key, kind: Kind) -> Iterator[Manifest]:
        """The objects of a kind that refer to this one."""
        for other in self.referrer_keys(key, kind):
            yield self._entries[other].body

    def referrer_keys(self, key: Key, *kinds: Kind) -> list[Key]:
        """The names of the objects that refer to this one: of these kinds, or of all."""
        return [other for kind in kinds or Kind for other in sorted(self._referrers.get((key, kind), ()))]

    def references_of(self, key: Key) -> frozenset[Key]:
        """The names of the objects that this one refers to."""
        entry = self._entries.get(key)
        return entry.references if entry else frozenset()

    def tags_of(self, key: Key) -> frozenset[str]:
        """The object's tags; none where it is not known."""
        entry = self._entries.get(key)
        return entry.tags if entry else frozenset()

    def tagged(self, tag: str) -> list[Key]:
        """The names of the objects that carry a tag."""
        return sorted(self._tagged.get(tag, ()))

    def count(self, tag: str) -> int:
        """How many objects carry a tag."""
        return len(self._tagged.get(tag, ()))

    def is_to_begin(self, key: Key) -> bool:
        """Whether something is to be begun: a run without a Job, a task that was changed. People wait for these."""
        if key.kind is Kind.TASK and (body := self.get(key)) is not None:
            return bool((body.get("status") or {}).get("observedGeneration") != body["metadata"].get("generation"))
        return TAG_QUEUED in self.tags_of(key)

    def identities_with(self, kind: str, namespace: str, name: str) -> list[Key]:
        """The identities whose Secret, or ConfigMap, this is."""
        field = {"Secret": "keytabSecretRef", "ConfigMap": "krb5ConfigMapRef"}[kind]
        return [
            key
            for key, entry in self._entries.items()
            if key.kind is Kind.IDENTITY
            and key.namespace == namespace
            and ((entry.body.get("spec") or {}).get(field) or {}).get("name") == name
        ]

    def put(self, kind: Kind, body: Manifest) -> bool:
        """Takes an object in, if it is newer than what is known; tells whether it was."""
        key, version = key_of(kind, body), version_of(body)
        known = self._entries.get(key)
        if (known is not None and known.version >= version) or self._gone.get(key, -1) >= version:
            return False
        self._forget(key)
        self._gone.pop(key, None)
        slim = _slim(kind, body)
        key = key_of(kind, slim)  # what is kept holds on to nothing of what came
        entry = _Entry(slim, version, frozenset(references(kind, slim)), frozenset(tags(kind, slim)))
        self._entries[key] = entry
        for other in entry.references:
            self._referrers.setdefault((other, key.kind), set()).add(key)
        for tag in entry.tags:
            self._tagged.setdefault(tag, set()).add(key)
        return True

    def remove(self, kind: Kind, body: Manifest) -> None:
        """Forgets an object that was deleted; late news of it from before are not believed."""
        key, version = key_of(kind, body), version_of(body)
        known = self._entries.get(key)
        if known is None or known.version <= version:
            self._forget(key)
            self._gone[key] = version

    def missing(self, kind: Kind, listed: set[Key], version: int, within: Callable[[Key], bool]) -> list[Manifest]:
        """The objects that a full list lacks: they are gone, and no watch has said so.

        Args:
            version: the list's resourceVersion; what is known from later stays.
            within: whether an object would have been in the list.
        """
        self._gone = {k: v for k, v in self._gone.items() if k.kind is not kind or v > version}
        return [
            entry.body
            for key, entry in self._entries.items()
            if key.kind is kind and key not in listed and entry.version <= version and within(key)
        ]

    def _forget(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        for other in entry.references:
            _discard(self._referrers, (other, key.kind), key)
        for tag in entry.tags:
            _discard(self._tagged, tag, key)


def _discard(index: dict[Any, set[Key]], at: Any, key: Key) -> None:
    index[at].discard(key)
    if not index[at]:
        del index[at]


def key_of(kind: Kind, body: Mapping[str, Any]) -> Key:
    """The object's name."""
    return Key(kind, body["metadata"].get("namespace", ""), body["metadata"]["name"])


def version_of(body: Mapping[str, Any]) -> int:
    """The object's resourceVersion; Kubernetes guarantees since 1.35 that they can be compared, etcd always did."""
    return int(body["metadata"].get("resourceVersion") or 0)


def _slim(kind: Kind, body: Manifest) -> Manifest:
    """Without what no decision needs, and no string twice, as thousands of objects are kept."""
    metadata = {k: v for k, v in body["metadata"].items() if k != "managedFields"}
    if UNUSED_ANNOTATION in (annotations := metadata.get("annotations") or {}):
        metadata["annotations"] = {k: v for k, v in annotations.items() if k != UNUSED_ANNOTATION}
    slim = {**body, "metadata": metadata, "spec": {} if kind in {Kind.JOB, Kind.POD} else body.get("spec")}
    return {_interned(key): _shared(value) for key, value in slim.items()}


def _shared(value: Any) -> Any:
    """The same, with strings that many objects have kept once: the names of fields, words, times, messages.

    They are copies. A string of the parsed list, however short, would keep the memory around it from being given back,
    and thousands of them all that a list of thousands of objects needs while it is read.
    """
    if type(value) is str:
        return _interned(value)
    if type(value) is dict:
        return {_interned(key): _shared(inner) for key, inner in value.items()}
    if type(value) is list:
        return [_shared(inner) for inner in value]
    return value


def _interned(text: str) -> str:
    return sys.intern(text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass"))


def references(kind: Kind, body: Manifest) -> Iterator[Key]:
    """Whom an object refers to, as its kind does it."""
    namespace = body["metadata"].get("namespace", "")
    spec = body.get("spec") or {}
    match kind:
        case Kind.LOCATION:
            yield from _named(Kind.IDENTITY, namespace, spec.get("identityRef"))
        case Kind.TASK:
            for side in ("source", "destination", "report"):
                yield from _named(Kind.LOCATION, namespace, (spec.get(side) or {}).get("locationRef"))
        case Kind.RUN:
            yield from _named(Kind.TASK, namespace, spec.get("taskRef"))
            for side in ("source", "destination", "reportTo"):
                end = (spec.get("task") or {}).get(side) or {}
                if end.get("location"):
                    yield Key(Kind.LOCATION, namespace, end["location"])
        case Kind.JOB | Kind.POD:
            owner = _owner(body, namespace)
            if owner is not None:
                yield owner
        case Kind.IDENTITY:
            return


def _named(kind: Kind, namespace: str, reference: Manifest | None) -> Iterator[Key]:
    if reference and reference.get("name"):
        yield Key(kind, namespace, reference["name"])


def _owner(body: Manifest, namespace: str) -> Key | None:
    """The object that an agent's Job or pod works for."""
    labels = body["metadata"].get("labels") or {}
    name = (body["metadata"].get("annotations") or {}).get(ANNOTATION_OWNER_NAME)
    kind = labels.get(LABEL_OWNER_KIND)
    if not name or kind not in set(Kind) or LABEL_OWNER_UID not in labels:
        return None
    return Key(Kind(kind), namespace, name)


def _has_tickets(status: Manifest) -> bool:
    preflight = (status.get("phases") or {}).get("preflight") or {}
    return bool(preflight.get("state") == PhaseState.SUCCEEDED)


def tags(kind: Kind, body: Manifest) -> Iterator[str]:
    """What an object is to be found by."""
    status = body.get("status") or {}
    metadata = body["metadata"]
    match kind:
        case Kind.RUN:
            if status.get("state") in {None, RunState.QUEUED.value}:
                yield TAG_QUEUED
            elif status.get("state") in BEFORE_TRANSFER and not _has_tickets(status):
                yield TAG_STARTING
        case Kind.JOB:
            finished = any(
                c.get("type") in {"Complete", "Failed"} and c.get("status") == "True"
                for c in status.get("conditions") or ()
            )
            if not finished:
                writes = ANNOTATION_DESTINATION in (metadata.get("annotations") or {})
                yield TAG_WRITER if writes else TAG_CHECK
        case Kind.POD:
            living = status.get("phase") not in {"Succeeded", "Failed"}
            if living and ANNOTATION_DESTINATION in (metadata.get("annotations") or {}):
                yield TAG_WRITER
        case Kind.IDENTITY:
            yield account_tag(str((body.get("spec") or {}).get("principal", "")))
        case _:
            return


def account_tag(principal: str) -> str:
    """What all identities of the principal's account are tagged with."""
    return f"account {account_of(principal)}"
