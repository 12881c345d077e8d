"""The environment that tells kubectl, kinit, smbclient, rclone and the tests where the lab is."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from .settings import DC_CONTAINER, DC_FQDN, FS_CONTAINER, FS_FQDN, NETWORK, REALM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .settings import Settings


def variables(settings: Settings, docker_env: Mapping[str, str], *, inside: bool) -> dict[str, str]:
    """The lab's variables for this machine, or (`inside`) for a container on the lab's network."""
    kubeconfig = settings.kubeconfig_internal if inside else settings.kubeconfig
    return {
        **docker_env,
        "KUBECONFIG": str(kubeconfig),
        "KRB5_CONFIG": str(settings.krb5_conf),
        "SMBFERRY_LAB_REALM": REALM,
        "SMBFERRY_LAB_SERVER": DC_FQDN,
        "SMBFERRY_LAB_DC_ADDRESS": str(settings.dc_address),
        "SMBFERRY_LAB_DC_CONTAINER": DC_CONTAINER,
        "SMBFERRY_LAB_MEMBER": FS_FQDN,
        "SMBFERRY_LAB_MEMBER_ADDRESS": str(settings.fs_address),
        "SMBFERRY_LAB_MEMBER_CONTAINER": FS_CONTAINER,
        "SMBFERRY_LAB_KEYTABS": str(settings.keytabs),
        "SMBFERRY_LAB_NETWORK": NETWORK,
    }


def path(settings: Settings, current: str) -> str:
    """PATH with the lab's programs first, once."""
    others = [entry for entry in current.split(os.pathsep) if entry and entry != str(settings.bin)]
    return os.pathsep.join([str(settings.bin), *others])


def render(exports: Mapping[str, str]) -> str:
    """Lines for a shell's eval."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in exports.items())
