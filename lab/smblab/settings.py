"""Where everything of the lab lies and what it is called; read once from the environment."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping

REALM = "CORP.EXAMPLE.COM"
DNS_DOMAIN = REALM.lower()
DC_HOST = "dc1"
DC_FQDN = f"{DC_HOST}.{DNS_DOMAIN}"
DC_CONTAINER = f"smbferry-{DC_HOST}"
SRV_VOLUME = "smbferry-srv"
FS_HOST = "fs1"
FS_FQDN = f"{FS_HOST}.{DNS_DOMAIN}"
FS_CONTAINER = f"smbferry-{FS_HOST}"
FS_VOLUME = f"smbferry-{FS_HOST}-srv"
NETWORK = "smbferry"
CLUSTER = "smbferry"
SERVICE_USERS = ("svc-src", "svc-dst")
# Made with the member server, of whose Backup Operators they are none; the two above are.
PLAIN_USERS = ("svc-src-plain", "svc-dst-plain")
IMAGE_PREFIX = "smbferry-lab"

# Lies outside Docker's address pools (172.16/12, 192.168/16) and kind's for pods and services (10.244/16, 10.96/16).
LONGEST_PREFIX = 26
DEFAULT_SUBNET = "10.79.4.0/24"
DEFAULT_BRIDGE = "10.79.0.1/24"


@dataclass(frozen=True)
class Settings:
    """Paths and choices of one lab. `subnet` is a /24 or wider; `images` is auto, upstream or build."""

    repo: Path
    cache: Path
    subnet: ipaddress.IPv4Network
    bridge: ipaddress.IPv4Interface
    images: str
    tmpfs: bool

    @property
    def dc_address(self) -> ipaddress.IPv4Address:
        """The domain controller's fixed address: the tenth of the subnet."""
        return self.subnet.network_address + 10

    @property
    def fs_address(self) -> ipaddress.IPv4Address:
        """The member server's fixed address: the eleventh of the subnet."""
        return self.subnet.network_address + 11

    @property
    def dynamic_range(self) -> ipaddress.IPv4Network:
        """The upper half of the subnet: what Docker may give to other containers, so that fixed addresses stay free."""
        return list(self.subnet.subnets(prefixlen_diff=1))[1]

    @property
    def gateway(self) -> ipaddress.IPv4Address:
        """The subnet's first address, held by the machine itself."""
        return self.subnet.network_address + 1

    @property
    def bin(self) -> Path:
        """Directory of kind, kubectl, helm and rclone."""
        return self.cache / "bin"

    @property
    def keytabs(self) -> Path:
        """Directory of the service users' keytabs."""
        return self.cache / "keytabs"

    @property
    def krb5_conf(self) -> Path:
        """The clients' krb5.conf."""
        return self.cache / "krb5.conf"

    @property
    def admin_password(self) -> Path:
        """The domain administrator's password, made anew for each domain."""
        return self.cache / "secrets" / "admin-password"

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig for the machine itself."""
        return self.cache / "kubeconfig"

    @property
    def kubeconfig_internal(self) -> Path:
        """The kubeconfig for containers on the lab's network."""
        return self.cache / "kubeconfig-internal"

    @property
    def logs(self) -> Path:
        """Directory of the logs of builds and starts."""
        return self.cache / "logs"


def from_environment(environ: Mapping[str, str], repo: Path) -> Settings:
    """Settings from SMBFERRY_CACHE, XDG_CACHE_HOME, HOME and SMBFERRY_LAB_*.

    Raises:
        LabError: a value that can't be used.
    """
    base = environ.get("SMBFERRY_CACHE")
    if not base:
        home = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".cache")
        base = str(Path(home) / "smbferry")
    images = environ.get("SMBFERRY_LAB_IMAGES", "auto")
    if images not in {"auto", "upstream", "build"}:
        raise LabError(f"SMBFERRY_LAB_IMAGES: expected auto, upstream or build, got {images!r}")
    return Settings(
        repo=repo,
        cache=Path(base).absolute() / "lab",
        subnet=_subnet(environ.get("SMBFERRY_LAB_SUBNET", DEFAULT_SUBNET)),
        bridge=_bridge(environ.get("SMBFERRY_LAB_BRIDGE", DEFAULT_BRIDGE)),
        images=images,
        tmpfs=environ.get("SMBFERRY_LAB_TMPFS", "") not in {"", "0"},
    )


def current() -> Settings:
    """Settings of this process, with the repository that this file lies in."""
    return from_environment(os.environ, Path(__file__).resolve().parents[2])


def _subnet(text: str) -> ipaddress.IPv4Network:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise LabError(
            f"SMBFERRY_LAB_SUBNET: expected a private IPv4 network such as {DEFAULT_SUBNET}, got {text!r}: {error}"
        ) from error
    if network.prefixlen > LONGEST_PREFIX or not network.is_private:
        raise LabError(
            f"SMBFERRY_LAB_SUBNET: expected a private IPv4 network of /{LONGEST_PREFIX} or wider, got {text!r}"
        )
    return network


def _bridge(text: str) -> ipaddress.IPv4Interface:
    try:
        return ipaddress.IPv4Interface(text)
    except ValueError as error:
        raise LabError(
            f"SMBFERRY_LAB_BRIDGE: expected an address such as {DEFAULT_BRIDGE}, got {text!r}: {error}"
        ) from error
