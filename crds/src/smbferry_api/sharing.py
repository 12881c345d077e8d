"""Which namespaces may use an object, and a reference to an object of another namespace."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import Field, model_validator

from smbferry_api.fields import Spec, Status

NAMESPACE_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
NamespaceName = Annotated[str, Field(min_length=1, max_length=63, pattern=NAMESPACE_PATTERN)]
"""The name of a Namespace (RFC 1123 label)."""
MOST_NAMESPACES: Final = 256
MOST_LABELS: Final = 32
MOST_VALUES: Final = 64
_LabelValue = Annotated[str, Field(max_length=63)]


class SelectorOperator(StrEnum):
    """How a requirement compares a label with its values."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


VALUES_BY_OPERATOR: Final = {
    "rule": "(self.operator in ['In', 'NotIn']) == (size(self.values) > 0)",
    "message": "expected values with the operators In and NotIn, and none with Exists and DoesNotExist",
}


class SelectorRequirement(Spec):
    """A requirement on one label."""

    key: Annotated[str, Field(min_length=1, max_length=317, description="Key of the label.")]
    operator: Annotated[SelectorOperator, Field(description="In, NotIn, Exists or DoesNotExist.")]
    values: Annotated[
        tuple[_LabelValue, ...], Field(max_length=MOST_VALUES, description="Values for In and NotIn.")
    ] = ()

    @model_validator(mode="after")
    def _has_values_by_operator(self) -> "SelectorRequirement":
        if (self.operator in {SelectorOperator.IN, SelectorOperator.NOT_IN}) != bool(self.values):
            raise ValueError(VALUES_BY_OPERATOR["message"])
        return self

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels meet it. As in Kubernetes, NotIn is met by a missing label."""
        match self.operator:
            case SelectorOperator.IN:
                return labels.get(self.key) in self.values
            case SelectorOperator.NOT_IN:
                return self.key not in labels or labels[self.key] not in self.values
            case SelectorOperator.EXISTS:
                return self.key in labels
            case SelectorOperator.DOES_NOT_EXIST:
                return self.key not in labels


class NamespaceSelector(Spec):
    """A label selector, as metav1.LabelSelector. An empty one selects all namespaces."""

    match_labels: Annotated[
        dict[str, _LabelValue],
        Field(default_factory=dict, max_length=MOST_LABELS, description="Labels that the namespace must have."),
    ]
    match_expressions: Annotated[
        tuple[SelectorRequirement, ...],
        Field(max_length=MOST_LABELS, description="Requirements that the namespace's labels must meet."),
    ] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a namespace with these labels is selected."""
        equal = all(labels.get(key) == value for key, value in self.match_labels.items())
        return equal and all(requirement.matches(labels) for requirement in self.match_expressions)


class SharedAccess(StrEnum):
    """What tasks of other namespaces may do at a location."""

    READ_ONLY = "ReadOnly"
    READ_WRITE = "ReadWrite"


class AllowedNamespaces(Spec):
    """Namespaces whose tasks may use the object: those that are named, and those that are selected."""

    names: Annotated[
        tuple[NamespaceName, ...], Field(max_length=MOST_NAMESPACES, description="Names of namespaces.")
    ] = ()
    selector: Annotated[
        NamespaceSelector | None,
        Field(
            description="Namespaces with these labels. An empty selector ({}) selects all namespaces. Make sure that "
            "tenants cannot change the labels of their namespaces. Not available if the operator watches only some "
            "namespaces (watchNamespaces of the chart)."
        ),
    ] = None
    access: Annotated[
        SharedAccess,
        Field(
            description="ReadOnly: the location may be the source of their tasks. ReadWrite: also the destination, and "
            "the location of reports. Their tasks can do there what the location's identity can do."
        ),
    ] = SharedAccess.READ_ONLY
    details: Annotated[
        bool,
        Field(
            description="Whether the runs of these namespaces also show messages, file names, principals and servers. "
            "By default, they show only states, reasons, counters, and the dialect and cipher."
        ),
    ] = False

    def allows(self, namespace: str, labels: Mapping[str, str] | None, *, writes: bool) -> bool:
        """Whether a namespace may use the object.

        Args:
            writes: whether it wants to write.
            labels: of the namespace; None if they are unknown: then only its name counts.
        """
        if writes and self.access is not SharedAccess.READ_WRITE:
            return False
        if namespace in self.names:
            return True
        return self.selector is not None and labels is not None and self.selector.matches(labels)


class ServingRun(Status):
    """The run in the namespace of shared locations that does the work of a run."""

    namespace: Annotated[str, Field(description="Namespace of the TransferRun.")]
    name: Annotated[str, Field(description="Name of the TransferRun.")]


SHARING_RULES: Final[dict[type[Spec], list[dict[str, Any]]]] = {SelectorRequirement: [VALUES_BY_OPERATOR]}
