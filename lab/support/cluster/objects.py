"""The manifests that the cluster tests apply, as a person would write them."""

from __future__ import annotations

import base64
from typing import Any

API = "smbferry.io/v1alpha1"
Object = dict[str, Any]
EVERYWHERE = {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}
"""The toleration with which agents run on the control plane's node, too."""


def _object(api: str, kind: str, name: str, **rest: Any) -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, **rest}


def secret(name: str, data: dict[str, bytes]) -> Object:
    """A Secret with these bytes."""
    return _object("v1", "Secret", name, data={k: base64.b64encode(v).decode() for k, v in data.items()})


def krb5(name: str, realm: str, kdc: str, extra: str = "", key: str = "krb5.conf") -> Object:
    """A ConfigMap with a krb5.conf that names one KDC."""
    text = f"[libdefaults]\n  default_realm = {realm}\n{extra}\n[realms]\n  {realm} = {{\n    kdc = {kdc}\n  }}\n"
    return _object("v1", "ConfigMap", name, data={key: text})


def identity(name: str, principal: str, *, keytab: str, config: str, **spec: Any) -> Object:
    """A KerberosIdentity."""
    return _object(
        API,
        "KerberosIdentity",
        name,
        spec={
            "principal": principal,
            "keytabSecretRef": {"name": keytab},
            "krb5ConfigMapRef": {"name": config},
            **spec,
        },
    )


def location(name: str, server: str, share: str, identity_name: str, **spec: Any) -> Object:
    """An SmbLocation."""
    return _object(
        API,
        "SmbLocation",
        name,
        spec={"server": server, "share": share, "identityRef": {"name": identity_name}, **spec},
    )


def task(name: str, source: str, destination: str, /, **spec: Any) -> Object:
    """A TransferTask that leaves descriptors alone unless told otherwise."""
    options = {"securityDescriptors": "None", **spec.pop("options", {})}
    return _object(
        API,
        "TransferTask",
        name,
        spec={
            "source": {"locationRef": {"name": source}},
            "destination": {"locationRef": {"name": destination}},
            "options": options,
            **spec,
        },
    )


def run(name: str, task_name: str, **spec: Any) -> Object:
    """A TransferRun as a person makes one."""
    return _object(API, "TransferRun", name, spec={"taskRef": {"name": task_name}, **spec})
