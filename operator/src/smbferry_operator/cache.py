"""What is known of the cluster: the objects as last seen, and who refers to whom.

Labels, annotations and owner references only find an object here. Whether a Job or pod belongs to whom it names is
decided by who reads it (`cluster/reader.py`).

Fed by watches, by our own writes (so that a decision sees the one before it) and by a full list now and then, which
also finds what a watch has missed. The newest resourceVersion wins, whichever way it came.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from smbferry_api.agent_contract import AGENT_CONTAINER
from smbferry_api.names import LABEL_OWNER_KIND, LABEL_OWNER_UID
from smbferry_api.run_status import PhaseState, RunState
from smbferry_api.snapshot import text_in
from smbferry_operator.decide.account import account_of
from smbferry_operator.decide.naming import ANNOTATION_OWNER_NAME
from smbferry_operator.model import OWN_KINDS, Key, Kind, Manifest
from smbferry_operator.parse import RECORDED, parse_owner

UNUSED_ANNOTATION: Final = "kubectl.kubernetes.io/last-applied-configuration"
TAG_WRITER: Final = "writer"
"""Jobs that have not finished and pods that live, by their own words for a run."""
TAG_QUEUED: Final = "queued"
"""Runs that have not begun."""
TAG_STARTING: Final = "starting"
"""Runs whose agents have not said yet that their keys were taken."""

BEFORE_TRANSFER: Final = frozenset({RunState.LAUNCHING.value, RunState.PREPARING.value})


@dataclass(slots=True)
class _Entry:
    body: Manifest
    version: int
    references: frozenset[Key]
    tags: frozenset[str]
    works_for: tuple[Key, str] | None
    """Of a Job that has not finished or a pod that lives: whom it works for, and that one's uid."""


class Cache:
    """Objects by key, by whom they refer to, and by tag. Not for threads: it lives on the event loop."""

    def __init__(self) -> None:
        self._entries: dict[Key, _Entry] = {}
        self._referrers: dict[tuple[Key, Kind], set[Key]] = {}
        self._tagged: dict[str, set[Key]] = {}
        self._agents: dict[tuple[Key, str], set[Key]] = {}
        self._busy: dict[tuple[Kind, str], set[Key]] = {}
        self._gone: dict[Key, int] = {}
        self.changes = 0
        """Counts what was taken in or forgotten: what follows from the cache holds until it is another number."""
        self._newest: dict[Kind, int] = {}

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

    def busy(self, kind: Kind) -> list[Key]:
        """The objects of a kind that exist and have a Job that has not finished, or a pod that lives."""
        return sorted(key for (other, _), keys in self._busy.items() if other is kind for key in keys)

    def is_busy(self, key: Key) -> bool:
        """Whether the object exists and has a Job that has not finished, or a pod that lives."""
        return key in self._busy.get((key.kind, key.namespace), ())

    def busy_by_namespace(self, *kinds: Kind) -> dict[str, int]:
        """How many objects of these kinds are busy, for each namespace that has any."""
        counts: dict[str, int] = {}
        for (kind, namespace), keys in self._busy.items():
            if kind in kinds:
                counts[namespace] = counts.get(namespace, 0) + len(keys)
        return counts

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

    def newest(self, kind: Kind) -> int:
        """The newest resourceVersion of a kind that was ever heard of; -1 where none was."""
        return self._newest.get(kind, -1)

    def clear(self) -> None:
        """Forgets everything, and how new it was."""
        self.changes += 1
        for known in (
            self._entries,
            self._referrers,
            self._tagged,
            self._agents,
            self._busy,
            self._gone,
            self._newest,
        ):
            known.clear()

    def _hear(self, kind: Kind, version: int) -> None:
        self._newest[kind] = max(version, self.newest(kind))

    def put(self, kind: Kind, body: Manifest) -> bool:
        """Takes an object in, if it is newer than what is known; tells whether it was."""
        key, version = key_of(kind, body), version_of(body)
        self._hear(kind, version)
        known = self._entries.get(key)
        if (known is not None and known.version >= version) or self._gone.get(key, -1) >= version:
            return False
        self._forget(key)
        self._gone.pop(key, None)
        slim = _slim(kind, body)
        key = key_of(kind, slim)  # what is kept holds on to nothing of what came
        worker = works_for(kind, slim)
        entry = _Entry(slim, version, frozenset(references(kind, slim)), frozenset(tags(kind, slim)), worker)
        self._entries[key] = entry
        for other in entry.references:
            self._referrers.setdefault((other, key.kind), set()).add(key)
        for tag in entry.tags:
            self._tagged.setdefault(tag, set()).add(key)
        if worker is not None:
            self._agents.setdefault(worker, set()).add(key)
        self._note_busy(worker[0] if worker else key)
        self.changes += 1
        return True

    def remove(self, kind: Kind, body: Manifest) -> None:
        """Forgets an object that was deleted; late news of it from before are not believed."""
        key, version = key_of(kind, body), version_of(body)
        self._hear(kind, version)
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
        self.changes += 1
        for other in entry.references:
            _discard(self._referrers, (other, key.kind), key)
        for tag in entry.tags:
            _discard(self._tagged, tag, key)
        if entry.works_for is not None:
            _discard(self._agents, entry.works_for, key)
        self._note_busy(entry.works_for[0] if entry.works_for else key)

    def _note_busy(self, owner: Key) -> None:
        """Keeps in mind whether the object has agents; those of another uid are none of its."""
        entry = self._entries.get(owner)
        place = (owner.kind, owner.namespace)
        if entry is not None and (owner, entry.body["metadata"]["uid"]) in self._agents:
            self._busy.setdefault(place, set()).add(owner)
        elif place in self._busy and owner in self._busy[place]:
            _discard(self._busy, place, owner)


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
    spec = _recorded(kind, body.get("spec") or {}) if kind in {Kind.JOB, Kind.POD} else body.get("spec")
    slim = {**body, "metadata": metadata, "spec": spec}
    return {_interned(key): _shared(value) for key, value in slim.items()}


def _recorded(kind: Kind, spec: Manifest) -> Manifest:
    """What is kept of the spec of an agent's Job or pod: the snapshot in its environment, as it stands there."""
    pod: Manifest = ((spec.get("template") or {}).get("spec") or {}) if kind is Kind.JOB else spec
    for container in pod.get("containers") or ():
        if container.get("name") == AGENT_CONTAINER:
            text = text_in({v["name"]: v.get("value") or "" for v in container.get("env") or ()})
            return {RECORDED: text} if text else {}
    return {}


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
        case Kind.JOB | Kind.POD:
            if (owner := _owner(kind, body)) is not None:
                yield owner[0]
        case Kind.IDENTITY:
            return


def _named(kind: Kind, namespace: str, reference: Manifest | None) -> Iterator[Key]:
    if reference and reference.get("name"):
        yield Key(kind, namespace, reference["name"])


def _owner(kind: Kind, body: Manifest) -> tuple[Key, str] | None:
    """The object that an agent's Job or pod says that it works for, and its uid: a Job by its controller, a pod,
    whose controller is a Job, by its labels.
    """
    metadata = body["metadata"]
    if kind is Kind.JOB:
        controller = parse_owner(metadata)
        owner, name, uid = (controller.kind, controller.name, controller.uid) if controller else ("", "", "")
    else:
        labels = metadata.get("labels") or {}
        owner, uid = labels.get(LABEL_OWNER_KIND, ""), labels.get(LABEL_OWNER_UID, "")
        name = (metadata.get("annotations") or {}).get(ANNOTATION_OWNER_NAME, "")
    if owner not in OWN_KINDS or not name or not uid:
        return None
    return Key(Kind(owner), metadata.get("namespace", ""), name), uid


def works_for(kind: Kind, body: Manifest) -> tuple[Key, str] | None:
    """Whom a Job that has not finished, or a pod that lives, says that it works for; None for all else."""
    status = body.get("status") or {}
    if kind is Kind.JOB:
        conditions = status.get("conditions") or ()
        over = any(c.get("type") in {"Complete", "Failed"} and c.get("status") == "True" for c in conditions)
    elif kind is Kind.POD:
        over = status.get("phase") in {"Succeeded", "Failed"}
    else:
        return None
    worker = None if over else _owner(kind, body)
    return worker if kind is Kind.JOB or (worker and worker[0].kind is Kind.RUN) else None


def _has_tickets(status: Manifest) -> bool:
    preflight = (status.get("phases") or {}).get("preflight") or {}
    return bool(preflight.get("state") == PhaseState.SUCCEEDED)


def tags(kind: Kind, body: Manifest) -> Iterator[str]:
    """What an object is to be found by."""
    status = body.get("status") or {}
    match kind:
        case Kind.RUN:
            if status.get("state") in {None, RunState.QUEUED.value}:
                yield TAG_QUEUED
            elif status.get("state") in BEFORE_TRANSFER and not _has_tickets(status):
                yield TAG_STARTING
        case Kind.JOB | Kind.POD:
            if (worker := works_for(kind, body)) is not None and worker[0].kind is Kind.RUN:
                yield TAG_WRITER
        case Kind.IDENTITY:
            yield account_tag(str((body.get("spec") or {}).get("principal", "")))
        case _:
            return


def account_tag(principal: str) -> str:
    """What all identities of the principal's account are tagged with."""
    return f"account {account_of(principal)}"
