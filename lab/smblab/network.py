"""The one Docker network that domain, cluster and tools share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import host
from .errors import LabError
from .settings import NETWORK

if TYPE_CHECKING:
    from .docker import Docker
    from .settings import Settings


def ensure(settings: Settings, docker: Docker) -> None:
    """Make the network with its fixed subnet, unless it is there.

    Raises:
        LabError: the subnet is in use, or the network that is there has another one.
    """
    found = docker.inspect("network", NETWORK, "{{range .IPAM.Config}}{{.Subnet}} {{end}}")
    if found is not None:
        if found.split() != [str(settings.subnet)]:
            raise LabError(
                f"expected the subnet {settings.subnet} in the Docker network {NETWORK}, got {found.strip()}: run "
                "`lab/lab down` first, or set SMBFERRY_LAB_SUBNET to the existing subnet"
            )
        return
    used = host.collision(settings.subnet, host.networks_in_use())
    if used:
        raise LabError(
            f"{settings.subnet} is already in use on this machine ({used}); set SMBFERRY_LAB_SUBNET to a free "
            "private network"
        )
    docker.text(
        "network", "create", "--driver", "bridge", "--subnet", str(settings.subnet), "--gateway", str(settings.gateway),
        "--ip-range", str(settings.dynamic_range), "--opt", "com.docker.network.driver.mtu=1500", NETWORK,
    )  # fmt: skip


def remove(docker: Docker) -> None:
    """Remove the network; harmless where it isn't there."""
    if docker.inspect("network", NETWORK, "{{.Id}}") is not None:
        docker.text("network", "rm", NETWORK)
