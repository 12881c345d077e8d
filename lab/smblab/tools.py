"""The tools container: a command on the lab's network, with the domain's DNS, the repository and the lab's files."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from . import exports, gobuild, images
from .cluster import NODES
from .errors import LabError
from .settings import DC_CONTAINER, DNS_DOMAIN, IMAGE_PREFIX, NETWORK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .docker import Docker
    from .progress import Progress
    from .settings import Settings

IMAGE = f"{IMAGE_PREFIX}-tools:latest"
LABEL = "smbferry.lab.tools"
SOCKET_INSIDE = "/run/docker.sock"
# /dev/shm: where `make bench` keeps what its clients read and write. Docker's own default is 64 MiB.
MEMORY = "6g"
# Variables of the caller that a test run in the container understands too.
PASSED_ON = ("SMBFERRY_", "PYTEST_", "HYPOTHESIS_", "CI")


def up(settings: Settings, docker: Docker, progress: Progress) -> None:
    """Build the image and the programs that tests call, where they aren't there."""
    gobuild.tool(settings, docker, progress, "rclone")
    build_image(settings, docker, progress)


def build_image(settings: Settings, docker: Docker, progress: Progress) -> None:
    """Build the tools image where its inputs changed."""
    base = images.debian(settings, docker, progress)
    with images.context(settings) as directory:
        shutil.copyfile(settings.repo / "lab" / "tools" / "Dockerfile", directory / "Dockerfile")
        (directory / "requirements").mkdir()
        for lock in ("dev.lock", "agent.lock"):
            shutil.copyfile(settings.repo / "requirements" / lock, directory / "requirements" / lock)
        images.add_ca_bundle(directory)
        images.build(settings, docker, progress, name="tools", tag=IMAGE, directory=directory, arguments={"BASE": base})


def run(settings: Settings, docker: Docker, command: Sequence[str]) -> NoReturn:
    """Become a command in the container: terminal, signals and exit code are the docker client's to pass on.

    Raises:
        LabError: the domain isn't up.
    """
    if not docker.running(DC_CONTAINER):
        raise LabError("the domain is not running; run `lab/lab up domain` first")
    sys.stdout.flush()
    words = ["docker", *_arguments(settings, docker), IMAGE, *command]
    os.execvpe(words[0], words, {**os.environ, **docker.env})


def down(docker: Docker) -> None:
    """Remove tools containers that are still there."""
    for container in docker.text("ps", "--all", "--quiet", "--filter", f"label={LABEL}").split():
        docker.text("rm", "--force", "--volumes", container)


def _arguments(settings: Settings, docker: Docker) -> list[str]:
    socket = docker.host.removeprefix("unix://")
    if not socket.startswith("/"):
        raise LabError(f"expected a Unix socket in DOCKER_HOST for the tools container, got {docker.host}")
    words = ["run", "--rm", "--init", "--interactive", "--label", LABEL, "--network", NETWORK]
    # Docker's own resolver would answer reverse lookups with container names: the domain's is asked directly.
    resolver = settings.cache / "resolv.conf"
    resolver.write_text(f"search {DNS_DOMAIN}\nnameserver {settings.dc_address}\n")
    words += ["--volume", f"{resolver}:/etc/resolv.conf:ro", *_hosts(docker)]
    words += ["--user", f"{os.getuid()}:{os.getgid()}", "--group-add", str(Path(socket).stat().st_gid)]
    # Files of the caller are mounted as they are, not relabeled, where SELinux is on.
    words += ["--security-opt", "label=disable", "--shm-size", MEMORY]
    words += ["--volume", f"{socket}:{SOCKET_INSIDE}", "--volume", f"{settings.repo}:{settings.repo}"]
    words += ["--volume", f"{settings.cache}:{settings.cache}:ro", "--workdir", _directory(settings)]
    if sys.stdin.isatty() and sys.stdout.isatty():
        words.append("--tty")
    inside = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
    inside |= exports.variables(settings, {"DOCKER_HOST": f"unix://{SOCKET_INSIDE}"}, inside=True)
    inside |= {"HOME": "/tmp", "PATH": f"{settings.bin}:/opt/smbferry/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    for name, value in inside.items():
        words += ["--env", f"{name}={value}"]
    return words


def _hosts(docker: Docker) -> list[str]:
    """The nodes by name: the kubeconfig for containers names one."""
    words = []
    for name in NODES:
        address = docker.inspect("container", name, f"{{{{.NetworkSettings.Networks.{NETWORK}.IPAddress}}}}")
        if address:
            words += ["--add-host", f"{name}:{address}"]
    return words


def _directory(settings: Settings) -> str:
    here = Path.cwd()
    return str(here if here.is_relative_to(settings.repo) else settings.repo)
