"""Builds manifests like a person would write them: short, in apply order, without defaults. Pure."""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from smbferry_api.names import API_VERSION

Manifest = dict[str, Any]

_NAME_LIMIT: Final = 63


@dataclass(frozen=True, slots=True)
class Unc:
    """A UNC path: the server's DNS name, a share, and a folder that starts with '/'."""

    server: str
    share: str
    path: str = "/"

    @classmethod
    def parse(cls, text: str) -> "Unc":
        r"""Parses ``//server/share/folder``, ``\\server\share\folder`` or ``smb://server/share/folder``.

        Raises:
            ValueError: the server or the share is missing.
        """
        plain = text.strip().replace("\\", "/").removeprefix("smb:")
        parts = [part for part in plain.split("/") if part]
        if not plain.startswith("//") or len(parts) < 2:  # noqa: PLR2004 (a server and a share)
            raise ValueError(f"expected //server/share or //server/share/folder, got {text!r}")
        return cls(parts[0], parts[1], "/" + "/".join(parts[2:]))


def object_name(text: str, fallback: str = "smbferry") -> str:
    """Returns a valid Kubernetes name (RFC 1123 label) similar to ``text``."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:_NAME_LIMIT].rstrip("-")
    return name or fallback


def realm_of(principal: str) -> str:
    """Returns the realm of a principal, or an empty string if it has none."""
    return principal.rpartition("@")[2] if "@" in principal else ""


def account_of(principal: str) -> str:
    """Returns the principal without its realm as an object name: svc-src, svc-host."""
    return object_name(principal.rpartition("@")[0] or principal)


def krb5_conf_name(realm: str) -> str:
    """Returns the name of the ConfigMap for a realm."""
    return f"{object_name(realm)}-krb5"


def krb5_conf(realm: str, domains: Iterable[str]) -> str:
    """Returns a krb5.conf that finds the KDCs of ``realm`` by SRV records and maps ``domains`` to the realm."""
    mapping = "".join(f"  {domain} = {realm}\n  .{domain} = {realm}\n" for domain in sorted(set(domains)))
    head = f"[libdefaults]\n  default_realm = {realm}\n  dns_lookup_kdc = true\n"
    return f"{head}\n[domain_realm]\n{mapping}" if mapping else head


def domain_of(server: str) -> str:
    """Returns the DNS domain of a server, or an empty string for a short name."""
    return server.rstrip(".").partition(".")[2].lower()


def config_map(name: str, text: str) -> Manifest:
    """Returns a ConfigMap with a krb5.conf."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"krb5.conf": text}}


def keytab_secret(name: str, keytab: bytes) -> Manifest:
    """Returns a Secret with a keytab."""
    data = {"keytab": base64.b64encode(keytab).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque", "data": data}


def identity(principal: str, nameservers: Iterable[str] = ()) -> Manifest:
    """Returns a KerberosIdentity named after its account."""
    spec: Manifest = {
        "principal": principal,
        "keytabSecretRef": {"name": secret_name(principal)},
        "krb5ConfigMapRef": {"name": krb5_conf_name(realm_of(principal))},
    }
    return _ours("KerberosIdentity", account_of(principal), _with_nameservers(spec, nameservers))


def secret_name(principal: str) -> str:
    """Returns the name of the Secret with the principal's keytab."""
    return f"{account_of(principal)}-keytab"


def location(name: str, unc: Unc, principal: str, nameservers: Iterable[str] = ()) -> Manifest:
    """Returns an SmbLocation that ``principal`` opens."""
    spec: Manifest = {"server": unc.server, "share": unc.share}
    if unc.path != "/":
        spec["path"] = unc.path
    spec["identityRef"] = {"name": account_of(principal)}
    return _ours("SmbLocation", name, _with_nameservers(spec, nameservers))


def task(name: str, source: str, destination: str, rest: Mapping[str, Any]) -> Manifest:
    """Returns a TransferTask between two locations; ``rest`` contains the other fields of its spec."""
    ends = {"source": {"locationRef": {"name": source}}, "destination": {"locationRef": {"name": destination}}}
    return _ours("TransferTask", name, {**ends, **rest})


def _ours(kind: str, name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _with_nameservers(spec: Manifest, nameservers: Iterable[str]) -> Manifest:
    servers = list(nameservers)
    return {**spec, "nameservers": servers} if servers else spec


class _Dumper(yaml.SafeDumper):
    """Writes multi-line text as a block, so that a krb5.conf stays readable."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def to_yaml(manifests: Iterable[Manifest], remarks: Iterable[str] = ()) -> str:
    """Returns one YAML stream with the remarks as comments at the top."""
    head = "".join(f"# {line}\n" for remark in remarks for line in remark.splitlines())
    documents = (
        yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True) for manifest in manifests
    )
    return head + "---\n".join(documents)
