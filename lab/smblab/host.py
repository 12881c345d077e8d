"""What the machine is and has: capabilities, Debian packages, a way to the image registry, networks in use."""

from __future__ import annotations

import http
import ipaddress
import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from . import shell
from .errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable

CAP_SYS_RESOURCE = 24
REGISTRY = "https://registry-1.docker.io/v2/"
REGISTRY_SECONDS = 5.0


def has_capability(status: str, number: int) -> bool:
    """Whether the effective set in the text of /proc/PID/status holds a capability (capabilities(7))."""
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False


def can_raise_limits() -> bool:
    """Whether this process has CAP_SYS_RESOURCE, which privileged containers ask for."""
    return has_capability(Path("/proc/self/status").read_text(), CAP_SYS_RESOURCE)


def available_memory(meminfo: str) -> int:
    """Bytes to be had without swapping, from the text of /proc/meminfo (proc_meminfo(5)); 0 where it does not tell."""
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def registry_answers() -> bool:
    """Whether Docker Hub's registry can be reached from here; asks once, for at most a few seconds."""
    try:
        with urllib.request.urlopen(REGISTRY, timeout=REGISTRY_SECONDS):
            return True
    except urllib.error.HTTPError as error:
        return error.code == http.HTTPStatus.UNAUTHORIZED  # the registry's own answer to a client without a token
    except (OSError, ValueError):
        return False


def routes(table: str) -> list[ipaddress.IPv4Network]:
    """The networks of a /proc/net/route table (little-endian hexadecimal words), without the default route."""
    found = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        prefix = int(fields[7], 16).bit_count()
        if prefix:
            address = ipaddress.IPv4Address(bytes.fromhex(fields[1])[::-1])
            found.append(ipaddress.IPv4Network((int(address), prefix)))
    return found


def collision(wanted: ipaddress.IPv4Network, used: Iterable[ipaddress.IPv4Network]) -> ipaddress.IPv4Network | None:
    """The first network in use that overlaps the wanted one."""
    return next((network for network in used if network.overlaps(wanted)), None)


def networks_in_use() -> list[ipaddress.IPv4Network]:
    """Networks that this machine routes now."""
    return routes(Path("/proc/net/route").read_text())


def is_debian() -> bool:
    """Whether packages can be installed by apt here."""
    return Path("/etc/debian_version").exists() and shutil.which("apt-get") is not None


def need_packages(commands: dict[str, str], log: Path) -> None:
    """Install the Debian packages of the commands (command → package) that are missing.

    Raises:
        LabError: they are missing and can't be installed here; the message names them.
    """
    missing = sorted({package for command, package in commands.items() if shutil.which(command) is None})
    if not missing:
        return
    names = " ".join(missing)
    if not is_debian() or os.geteuid() != 0:
        raise LabError(f"{names} is not installed; on Debian, run as root: apt-get install {names}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    shell.fetched(lambda: shell.logged(["apt-get", "update", "-qq"], log, env=quiet))
    shell.fetched(lambda: shell.logged(install, log, env=quiet))
