"""Changes of an object that somebody makes who means harm, and the object that the operator would make anew."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, Final

Object = dict[str, Any]
Change = Callable[[Object], None]
SUFFIX: Final = "aaaaaaaa"
"""Of a name, instead of the operator's hash."""
_OF_THE_JOB_CONTROLLER: Final = ("controller-uid", "job-name", "batch.kubernetes.io/")


def changed(path: str, value: Any) -> Change:
    """Sets the field at the path, in which numbers are places in lists; what leads to it is made."""

    def change(obj: Object) -> None:
        parent, last = _parent(obj, path)
        parent[last] = deepcopy(value)

    return change


def more(path: str, item: Any) -> Change:
    """Adds an item to the list at the path."""

    def change(obj: Object) -> None:
        parent, last = _parent(obj, path)
        parent[last] = [*parent.get(last, ()), deepcopy(item)]

    return change


def gone(path: str) -> Change:
    """Removes the field at the path."""

    def change(obj: Object) -> None:
        parent, last = _parent(obj, path)
        del parent[last]

    return change


def renewed(obj: Object) -> Object:
    """The object without what the API server and the Job controller added, under another name of the same owner."""
    made = deepcopy(obj)
    kept = ("namespace", "labels", "annotations", "ownerReferences")
    name = f"{made['metadata']['name'][: -len(SUFFIX)]}{SUFFIX}"
    made["metadata"] = {"name": name, **{key: made["metadata"][key] for key in kept if key in made["metadata"]}}
    made.pop("status", None)
    if made["kind"] == "Job":
        made["spec"].pop("selector", None)
        for metadata in (made["metadata"], made["spec"]["template"]["metadata"]):
            labels = metadata["labels"]
            metadata["labels"] = {k: v for k, v in labels.items() if not k.startswith(_OF_THE_JOB_CONTROLLER)}
    return made


def sent(obj: Object) -> Object:
    """The object as its maker sent it: without what the API server added to its metadata."""
    made = deepcopy(obj)
    for field in ("uid", "resourceVersion", "creationTimestamp", "managedFields"):
        made["metadata"].pop(field, None)
    return made


def _parent(obj: Any, path: str) -> tuple[Any, Any]:
    *way, last = path.split(".")
    for part in way:
        obj = obj[int(part)] if isinstance(obj, list) else obj.setdefault(part, {})
    return obj, int(last) if isinstance(obj, list) else last
