"""Names, labels and owners of the objects that the operator creates. All names are deterministic."""

import base64
import hashlib
import re
from typing import Final

from smbferry_api import API_VERSION
from smbferry_api.agent_contract import AgentCommand
from smbferry_api.names import (
    GROUP,
    LABEL_CLASS,
    LABEL_COMPONENT,
    LABEL_MANAGED_BY,
    LABEL_NAME,
    LABEL_OWNER_KIND,
    LABEL_OWNER_UID,
    MANAGED_BY_OPERATOR,
)
from smbferry_operator.model import Kind, Manifest, Meta

MAX_LABEL: Final = 63
HASH_LENGTH: Final = 8

# Annotations of an agent's Job and pods, from which a decision can be repeated without any other memory.
ANNOTATION_OWNER_NAME: Final = f"{GROUP}/owner-name"
ANNOTATION_CHECK_INPUTS: Final = f"{GROUP}/check-inputs"
ANNOTATION_CHECK_EPOCH: Final = f"{GROUP}/check-epoch"
ANNOTATION_LAST_CHECK: Final = f"{GROUP}/last-check"
ANNOTATION_ATTEMPTS_BEFORE: Final = f"{GROUP}/attempts-before"
ANNOTATION_PAUSES_BEFORE: Final = f"{GROUP}/pauses-before"
ANNOTATION_ACTIVE_BEFORE: Final = f"{GROUP}/active-before"
ANNOTATION_DESTINATION: Final = f"{GROUP}/destination"
"""For people. A run's claim is read from the snapshot in its Job."""

PREFIX: Final = {Kind.IDENTITY: "kid", Kind.RUN: "xrun"}
COMPONENT: Final = {
    Kind.IDENTITY: AgentCommand.CHECK_IDENTITY.value,
    Kind.RUN: AgentCommand.TRANSFER.value,
}


def short_hash(*parts: object) -> str:
    """A hash of the parts: eight lowercase letters and digits, valid in any Kubernetes name."""
    digest = hashlib.sha256("\0".join(str(p) for p in parts).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:HASH_LENGTH]


def hidden(place: str) -> str:
    """A destination in a form that tells nothing but whether another one is the same."""
    return f"hidden-{short_hash('destination', place)}"


def label_value(text: str) -> str:
    """The text as a label value: unchanged if it is short enough, else its beginning and a hash."""
    if len(text) <= MAX_LABEL:
        return text
    return f"{text[: MAX_LABEL - 1 - HASH_LENGTH].rstrip('-._')}-{short_hash(text)}"


def child_name(kind: Kind, owner: Meta, *parts: object) -> str:
    """The name of an object of this owner: readable, at most 63 characters, unique per owner."""
    stem = re.sub(r"[^a-z0-9-]+", "-", f"{PREFIX[kind]}-{owner.name}".lower())
    return f"{stem[: MAX_LABEL - 1 - HASH_LENGTH].rstrip('-')}-{short_hash(owner.uid, *parts)}"


def owner_reference(kind: Kind, owner: Meta) -> Manifest:
    """The owner reference, by which garbage collection deletes the object."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind.value,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def agent_labels(kind: Kind, owner: Meta) -> dict[str, str]:
    """Labels of an agent's objects."""
    return {
        LABEL_NAME: "smbferry-agent",
        LABEL_COMPONENT: COMPONENT[kind],
        LABEL_MANAGED_BY: MANAGED_BY_OPERATOR,
        LABEL_OWNER_KIND: kind.value,
        LABEL_OWNER_UID: owner.uid,
    }


def class_label(class_name: str) -> dict[str, str]:
    """The label by which the operators of a class find their Jobs and pods; none for the default class."""
    return {LABEL_CLASS: class_name} if class_name else {}


def agent_metadata(kind: Kind, owner: Meta, name: str) -> Manifest:
    """ObjectMeta of one of an agent's objects."""
    return {
        "name": name,
        "namespace": owner.namespace,
        "labels": agent_labels(kind, owner),
        "ownerReferences": [owner_reference(kind, owner)],
    }
