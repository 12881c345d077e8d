"""Permissions of an agent: a ServiceAccount, and a Role that names its objects and allows only status writes."""

from collections.abc import Iterable, Mapping

from smbferry_api import GROUP
from smbferry_api.crd import KERBEROS_IDENTITY, SMB_LOCATION, TRANSFER_RUN
from smbferry_operator.decide.naming import agent_metadata, child_name
from smbferry_operator.model import Kind, Manifest, Meta

PLURAL = {
    Kind.IDENTITY: KERBEROS_IDENTITY.plural,
    Kind.LOCATION: SMB_LOCATION.plural,
    Kind.RUN: TRANSFER_RUN.plural,
}
RBAC = "rbac.authorization.k8s.io"


def access_name(kind: Kind, owner: Meta) -> str:
    """The common name of ServiceAccount, Role and RoleBinding of the owner's agents."""
    return child_name(kind, owner)


def build_access(
    kind: Kind, owner: Meta, *, identities: Iterable[str] = (), locations: Iterable[str] = ()
) -> tuple[Manifest, ...]:
    """ServiceAccount, Role and RoleBinding of the owner's agents.

    Args:
        identities: names of the identities that a run's agents use.
        locations: names of the locations that a check carries.
    """
    name = access_name(kind, owner)
    return (
        build_service_account(kind, owner, name),
        build_role(kind, owner, name, {Kind.IDENTITY: tuple(identities), Kind.LOCATION: tuple(locations)}),
        build_role_binding(kind, owner, name),
    )


def build_service_account(kind: Kind, owner: Meta, name: str) -> Manifest:
    """The ServiceAccount; its token is mounted only in pods that ask for it."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": agent_metadata(kind, owner, name),
        "automountServiceAccountToken": False,
    }


def build_role(kind: Kind, owner: Meta, name: str, others: Mapping[Kind, tuple[str, ...]]) -> Manifest:
    """The Role: reads these objects and writes their status: of identities, to try their keys in turn."""
    named = {kind: (owner.name,), **{other: names for other, names in others.items() if names}}
    rules = [
        *(_rule(PLURAL[k], names, "get") for k, names in named.items()),
        *(_rule(f"{PLURAL[k]}/status", names, "patch") for k, names in named.items()),
    ]
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": agent_metadata(kind, owner, name),
        "rules": rules,
    }


def _rule(resource: str, names: tuple[str, ...], verb: str) -> Manifest:
    return {"apiGroups": [GROUP], "resources": [resource], "resourceNames": list(names), "verbs": [verb]}


def build_role_binding(kind: Kind, owner: Meta, name: str) -> Manifest:
    """The RoleBinding of the two."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": agent_metadata(kind, owner, name),
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": owner.namespace}],
    }
