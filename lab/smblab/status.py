"""The state and the addresses of the lab's parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import cluster, daemon, domain, gobuild, member, shell, tools
from .settings import CLUSTER, DC_CONTAINER, DC_FQDN, FS_CONTAINER, FS_FQDN

if TYPE_CHECKING:
    from .docker import Docker
    from .settings import Settings

PARTS = ("docker", "domain", "cluster", "tools")


@dataclass(frozen=True)
class Part:
    """One line of the status."""

    name: str
    up: bool
    detail: str


def parts(settings: Settings, docker: Docker | None) -> list[Part]:
    """The state of every part."""
    if docker is None:
        return [
            Part("docker", up=False, detail="no daemon is running; `lab/lab up` starts one"),
            *(Part(n, up=False, detail="-") for n in PARTS[1:]),
        ]
    whose = "the lab's private daemon" if docker.ours else "the machine's daemon"
    return [
        Part("docker", up=True, detail=f"{docker.server_version} at {docker.host} ({whose})"),
        _domain(settings, docker),
        _cluster(settings, docker),
        _tools(settings, docker),
    ]


def render(found: list[Part]) -> str:
    """The status as a table."""
    return "\n".join(f"{part.name:<8} {'up' if part.up else 'down':<5} {part.detail}" for part in found)


def logs(settings: Settings, docker: Docker | None, part: str) -> str:
    """Returns the last log lines of a part.

    Raises:
        LabError: the part does not exist.
    """
    if part == "docker" or docker is None:
        log = settings.logs / "docker.log"
        return shell.tail(log.read_text(errors="replace"), 100) if log.exists() else "no log yet"
    if part == "domain":
        return "\n".join(f"== {name}\n{_said(docker, name)}" for name in (DC_CONTAINER, FS_CONTAINER))
    units = ("journalctl", "--no-pager", "--lines", "100", "--unit", "kubelet", "--unit", "containerd")
    return "\n".join(f"== {name}\n{docker.text('exec', name, *units)}" for name in cluster.NODES)


def _said(docker: Docker, container: str) -> str:
    return docker.text("logs", "--tail", "100", container)


def _domain(settings: Settings, docker: Docker) -> Part:
    for name, ready in ((DC_CONTAINER, domain.ready), (FS_CONTAINER, member.ready)):
        if not docker.running(name):
            return Part("domain", up=False, detail=f"no container {name}")
        if missing := ready(docker):
            last = missing.splitlines()[-1].strip()
            return Part("domain", up=False, detail=f"{name} is running but not ready: {last}")
    where = "in memory" if domain.on_tmpfs(docker) else "on disk"
    controller = f"{DC_FQDN} at {settings.dc_address}, container {DC_CONTAINER}"
    server = f"{FS_FQDN} at {settings.fs_address}, container {FS_CONTAINER}"
    return Part("domain", up=True, detail=f"{controller}; {server}; shares {where}")


def _cluster(settings: Settings, docker: Docker) -> Part:
    if not cluster.healthy(settings, docker):
        running = [name for name in cluster.NODES if docker.running(name)]
        return Part(
            "cluster", up=False, detail=f"API server does not answer; running nodes: {', '.join(running) or 'none'}"
        )
    lines = shell.text(cluster.kubectl(settings, "get", "nodes", "--no-headers")).splitlines()
    states = ", ".join(" ".join(line.split()[:2]) for line in lines)
    return Part("cluster", up=all(line.split()[1] == "Ready" for line in lines), detail=f"{CLUSTER}: {states}")


def _tools(settings: Settings, docker: Docker) -> Part:
    missing = [name for name in ("helm", "rclone") if not (settings.bin / name).exists()]
    if docker.inspect("image", tools.IMAGE, "{{.Id}}") is None:
        missing.append(tools.IMAGE)
    if missing:
        return Part("tools", up=False, detail=f"not built yet: {', '.join(missing)}")
    return Part(
        "tools",
        up=True,
        detail=f"{tools.IMAGE}, helm {gobuild.TOOLS['helm'].version}, rclone {gobuild.TOOLS['rclone'].version}",
    )


def find(settings: Settings) -> list[Part]:
    """The state of every part of this machine's lab."""
    return parts(settings, daemon.find(settings))
