"""The manifest of a TransferRun that a task creates."""

from typing import Final

from smbferry_api import API_VERSION
from smbferry_api.names import LABEL_MANAGED_BY, LABEL_TASK, MANAGED_BY_OPERATOR
from smbferry_api.run import TaskRef, TransferRunSpec
from smbferry_operator.decide.naming import label_value, owner_reference
from smbferry_operator.model import Kind, Manifest, Task

MAX_NAME: Final = 253


def run_manifest(task: Task, name: str, annotations: dict[str, str]) -> Manifest:
    """A run of the task, with the same className.

    Args:
        annotations: what made it due.
    """
    about = task.meta
    spec = TransferRunSpec(task_ref=TaskRef(name=about.name), class_name=task.spec.class_name)
    return {
        "apiVersion": API_VERSION,
        "kind": Kind.RUN.value,
        "metadata": {
            "name": name,
            "namespace": about.namespace,
            "labels": {LABEL_MANAGED_BY: MANAGED_BY_OPERATOR, LABEL_TASK: label_value(about.name)},
            "annotations": annotations,
            "ownerReferences": [owner_reference(Kind.TASK, about)],
        },
        "spec": spec.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
