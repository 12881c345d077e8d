"""The objects of the cluster as last seen, compressed, and indexed by reference and by tag.

Watches, the operator's own writes and full lists fill it; the newest resourceVersion wins. Labels, annotations and
owner references only find objects here. `reader` decides whether a Job or pod belongs to the object that it names.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from smbferry_api.agent_contract import AGENT_CONTAINER
from smbferry_api.names import LABEL_OWNER_KIND, LABEL_OWNER_UID
from smbferry_api.snapshot import decoded, text_in
from smbferry_operator.decide.naming import ANNOTATION_OWNER_NAME
from smbferry_operator.model import OWN_KINDS, Key, Kind, Manifest
from smbferry_operator.observe.packing import Packer, unpack
from smbferry_operator.observe.relation import Relation
from smbferry_operator.observe.tags import TAG_CHANGED, TAG_QUEUED, tags
from smbferry_operator.parse import COMPLETIONS, PRIORITY_CLASS, RECORDED, load_of, parse_owner

UNUSED_ANNOTATION: Final = "kubectl.kubernetes.io/last-applied-configuration"
NAMESPACE_FIELDS: Final = ("name", "uid", "resourceVersion", "labels")
NO_TAGS: Final[frozenset[str]] = frozenset()


@dataclass(slots=True)
class _Entry:
    packed: bytes
    dictionary: bytes
    version: int
    references: tuple[Key, ...]
    tags: frozenset[str]
    works_for: tuple[Key, str] | None
    """Of an unfinished Job or a living pod: the object that it claims to work for, and that object's uid."""

    @property
    def body(self) -> Manifest:
        """The object as a new dict."""
        return unpack(self.packed, self.dictionary)


class Cache:
    """Objects by key, by reference and by tag. Used on the event loop; other threads may iterate and read."""

    def __init__(self) -> None:
        self._entries: dict[Key, _Entry] = {}
        self._packers = {kind: Packer() for kind in Kind}
        self._referrers: dict[Kind, Relation[Key, Key]] = {kind: Relation() for kind in Kind}
        self._tagged: dict[str, set[Key]] = {}
        self._agents: dict[Key, Relation[str, Key]] = {}
        self._busy: dict[tuple[Kind, str], dict[Key, str]] = {}  # with the uid that their agents name
        self._gone: dict[Key, int] = {}
        self._newest: dict[Kind, int] = {}
        self._followers: list[set[Key]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Key) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._entries))

    def follow(self) -> set[Key]:
        """The keys of all objects; from now on each key that changes is added. The caller removes what it has seen."""
        changed = set(self._entries)
        self._followers.append(changed)
        return changed

    def _note_change(self, *keys: Key) -> None:
        for changed in self._followers:
            changed.update(keys)

    def get(self, key: Key) -> Manifest | None:
        """Returns the object as a new dict, or None."""
        entry = self._entries.get(key)
        return entry.body if entry else None

    def all(self, kind: Kind) -> Iterator[Manifest]:
        """All objects of a kind, read one by one."""
        for key in self:
            if key.kind is kind and (body := self.get(key)) is not None:
                yield body

    def token(self, key: Key) -> object:
        """Another one for each version of an object; None if it is not there."""
        entry = self._entries.get(key)
        return entry.packed if entry else None

    def referrers(self, key: Key, kind: Kind) -> Iterator[Manifest]:
        """The objects of a kind that refer to this one."""
        for other in self.referrer_keys(key, kind):
            yield self._entries[other].body

    def referrer_keys(self, key: Key, *kinds: Kind) -> list[Key]:
        """The keys of the objects that refer to this one: of these kinds, or of all."""
        return [other for kind in kinds or Kind for other in sorted(self._referrers[kind].of(key))]

    def references_of(self, key: Key) -> frozenset[Key]:
        """The keys of the objects that this one refers to."""
        entry = self._entries.get(key)
        return frozenset(entry.references if entry else ())

    def tags_of(self, key: Key) -> frozenset[str]:
        """The object's tags; none if it is not in the cache."""
        entry = self._entries.get(key)
        return entry.tags if entry else NO_TAGS

    def tagged(self, tag: str) -> list[Key]:
        """The keys of the objects that have a tag."""
        return sorted(self._tagged.get(tag, ()))

    def is_busy(self, key: Key) -> bool:
        """Whether the object exists and has an unfinished Job or a living pod."""
        return key in self._busy.get((key.kind, key.namespace), ())

    def agents_by_namespace(self, *kinds: Kind) -> dict[str, int]:
        """The number of agents at work for objects of these kinds, by namespace."""
        counts: dict[str, int] = {}
        for (kind, namespace), keys in self._busy.items():
            if kind in kinds:
                agents = sum(1 for key, uid in keys.items() for _ in self._agents[key].of(uid))
                counts[namespace] = counts.get(namespace, 0) + agents
        return counts

    def is_to_begin(self, key: Key) -> bool:
        """Whether people wait for it: a run without a Job, or a task whose spec has changed."""
        return not self.tags_of(key).isdisjoint({TAG_QUEUED, TAG_CHANGED})

    def identities_with(self, kind: str, namespace: str, name: str) -> list[Key]:
        """The identities that refer to this Secret or ConfigMap."""
        field = {"Secret": "keytabSecretRef", "ConfigMap": "krb5ConfigMapRef"}[kind]
        own = (key for key in self._entries if key.kind is Kind.IDENTITY and key.namespace == namespace)
        specs = ((key, (self.get(key) or {}).get("spec") or {}) for key in own)
        return [key for key, spec in specs if (spec.get(field) or {}).get("name") == name]

    def newest(self, kind: Kind) -> int:
        """The newest resourceVersion of a kind that was ever seen, -1 if none was."""
        return self._newest.get(kind, -1)

    def clear(self) -> None:
        """Removes all objects, and forgets all versions."""
        self._note_change(*self._entries)
        for known in (self._entries, self._tagged, self._agents, self._busy, self._gone, self._newest):
            known.clear()
        for referrers in self._referrers.values():
            referrers.clear()

    def _note_version(self, kind: Kind, version: int) -> None:
        self._newest[kind] = max(version, self.newest(kind))

    def put(self, kind: Kind, body: Manifest) -> bool:
        """Stores an object if it is newer than the known one; returns whether it was."""
        key, version = key_of(kind, body), version_of(body)
        self._note_version(kind, version)
        known = self._entries.get(key)
        if (known is not None and known.version >= version) or self._gone.get(key, -1) >= version:
            return False
        self._forget(key)
        self._gone.pop(key, None)
        slim = _slim(kind, body)
        key = _copied(key)  # so that the cache keeps no part of the original alive
        worker = works_for(kind, slim)
        packed = self._packers[kind].pack(slim)
        found = tuple({_copied(other): None for other in references(kind, slim)})
        entry = _Entry(packed.data, packed.dictionary, version, found, frozenset(tags(kind, slim)), worker)
        self._entries[key] = entry
        for other in entry.references:
            self._referrers[kind].add(other, key)
        for tag in entry.tags:
            self._tagged.setdefault(tag, set()).add(key)
        if worker is not None:
            self._agents.setdefault(worker[0], Relation()).add(worker[1], key)
        self._note_busy(worker[0] if worker else key)
        self._note_change(key)
        return True

    def remove(self, kind: Kind, body: Manifest) -> None:
        """Removes a deleted object; older versions of it that arrive later are ignored."""
        key, version = key_of(kind, body), version_of(body)
        self._note_version(kind, version)
        known = self._entries.get(key)
        if known is None or known.version <= version:
            self._forget(key)
            self._gone[_copied(key)] = max(version, self._gone.get(key, -1))

    def missing(self, kind: Kind, listed: set[Key], version: int, within: Callable[[Key], bool]) -> list[Manifest]:
        """The objects that a full list does not contain: they were deleted, and no watch has reported it.

        Args:
            version: the list's resourceVersion; newer objects are not missing.
            within: whether the list would contain an object.
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
        self._note_change(key)
        for other in entry.references:
            self._referrers[key.kind].discard(other, key)
        for tag in entry.tags:
            _discard(self._tagged, tag, key)
        if entry.works_for is not None:
            self._forget_agent(*entry.works_for, key)
        self._note_busy(entry.works_for[0] if entry.works_for else key)

    def _forget_agent(self, owner: Key, uid: str, agent: Key) -> None:
        self._agents[owner].discard(uid, agent)
        if not self._agents[owner]:
            del self._agents[owner]

    def _note_busy(self, owner: Key) -> None:
        """Updates whether the object has agents; those that name another uid do not count."""
        agents, body = self._agents.get(owner), self.get(owner) if owner in self._agents else None
        place = (owner.kind, owner.namespace)
        if agents is not None and body is not None and body["metadata"]["uid"] in agents:
            self._busy.setdefault(place, {})[owner] = _interned(body["metadata"]["uid"])
        elif place in self._busy and self._busy[place].pop(owner, None) is not None and not self._busy[place]:
            del self._busy[place]


def _discard(index: dict[Any, set[Key]], at: Any, key: Key) -> None:
    index[at].discard(key)
    if not index[at]:
        del index[at]


def key_of(kind: Kind, body: Mapping[str, Any]) -> Key:
    """The object's key."""
    return Key(kind, body["metadata"].get("namespace", ""), body["metadata"]["name"])


def version_of(body: Mapping[str, Any]) -> int:
    """The object's resourceVersion. Kubernetes guarantees since 1.35 that versions can be compared; etcd always did."""
    return int(body["metadata"].get("resourceVersion") or 0)


def _slim(kind: Kind, body: Manifest) -> Manifest:
    """The object without what no decision needs."""
    metadata = {k: v for k, v in body["metadata"].items() if k != "managedFields"}
    if UNUSED_ANNOTATION in (annotations := metadata.get("annotations") or {}):
        metadata["annotations"] = {k: v for k, v in annotations.items() if k != UNUSED_ANNOTATION}
    if kind is Kind.NAMESPACE:
        return {"metadata": {name: metadata[name] for name in NAMESPACE_FIELDS if name in metadata}}
    spec = _recorded(kind, body.get("spec") or {}) if kind in {Kind.JOB, Kind.POD} else body.get("spec")
    return {**body, "metadata": metadata, "spec": spec}


def _recorded(kind: Kind, spec: Manifest) -> Manifest:
    """What is kept of the spec of an agent's Job or pod: the snapshot, the PriorityClass, how many agents."""
    pod: Manifest = ((spec.get("template") or {}).get("spec") or {}) if kind is Kind.JOB else spec
    kept = {PRIORITY_CLASS: name} if (name := pod.get("priorityClassName")) else {}
    if kind is Kind.JOB and (agents := spec.get(COMPLETIONS) or 1) > 1:
        kept[COMPLETIONS] = agents
    for container in pod.get("containers") or ():
        if container.get("name") == AGENT_CONTAINER:
            text = text_in({v["name"]: v.get("value") or "" for v in container.get("env") or ()})
            return kept | _decoded(text)
    return kept


def _decoded(text: str) -> Manifest:
    """Base64 cannot be compressed; what is no snapshot counts as none."""
    try:
        return {RECORDED: decoded(text)} if text else {}
    except ValueError:
        return {}


def _copied(key: Key) -> Key:
    """The key with strings of its own, each kept once.

    A string of a parsed list would keep the memory around it from being freed. Together they would keep all that a list
    of thousands of objects needs while it is read.
    """
    return Key(key.kind, _interned(key.namespace), _interned(key.name))


def _interned(text: str) -> str:
    return sys.intern(text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass"))


def references(kind: Kind, body: Manifest) -> Iterator[Key]:
    """The keys that an object refers to."""
    namespace = body["metadata"].get("namespace", "")
    spec = body.get("spec") or {}
    match kind:
        case Kind.LOCATION:
            yield from _named(Kind.IDENTITY, namespace, spec.get("identityRef"))
        case Kind.TASK:
            for side in ("source", "destination", "report"):
                yield from _named(Kind.LOCATION, namespace, (spec.get(side) or {}).get("locationRef"))
        case Kind.RUN:
            asking = spec.get("onBehalfOf")
            yield from _named(Kind.RUN, namespace, asking)
            yield from _named(Kind.TASK, (asking or {}).get("namespace") or namespace, spec.get("taskRef"))
        case Kind.JOB | Kind.POD:
            if (owner := _owner(kind, body)) is not None:
                yield owner[0]
            if kind is Kind.JOB and (load := load_of(body)) is not None:
                yield from (Key(Kind.LOCATION, namespace, carried.name) for carried in load.locations)
        case Kind.IDENTITY | Kind.NAMESPACE:
            return


def _named(kind: Kind, namespace: str, reference: Manifest | None) -> Iterator[Key]:
    """The key that a reference names.

    Args:
        namespace: where it is, if it names no other.
    """
    if reference and reference.get("name"):
        yield Key(kind, reference.get("namespace") or namespace, reference["name"])


def _owner(kind: Kind, body: Manifest) -> tuple[Key, str] | None:
    """The object that an agent's Job or pod claims to work for, and its uid.

    A Job names it as its controller. A pod, whose controller is a Job, names it in labels and an annotation.
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
    """The object that an unfinished Job or a run's living pod claims to work for, and its uid; None for all others."""
    status = body.get("status") or {}
    if kind is Kind.JOB:
        true = {c.get("type") for c in status.get("conditions") or () if c.get("status") == "True"}
        over = not true.isdisjoint({"Complete", "Failed"})
        # A check that a queue holds back uses no key and no node: it must not keep other checks from starting.
        idle = "Suspended" in true and not status.get("active")
    elif kind is Kind.POD:
        over, idle = status.get("phase") in {"Succeeded", "Failed"}, True
    else:
        return None
    worker = None if over else _owner(kind, body)
    if worker is None or (worker[0].kind is not Kind.RUN and idle):
        return None
    return _copied(worker[0]), _interned(worker[1])
