"""The Active Directory domain: one Samba container at a fixed address, its users' keytabs, the clients' krb5.conf."""

from __future__ import annotations

import json
import os
import secrets
import time
from typing import TYPE_CHECKING

from . import images, keytab, network, shell
from .errors import LabError
from .settings import (
    DC_CONTAINER,
    DC_HOST,
    DNS_DOMAIN,
    FS_CONTAINER,
    FS_VOLUME,
    IMAGE_PREFIX,
    NETWORK,
    REALM,
    SERVICE_USERS,
    SRV_VOLUME,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .docker import Docker
    from .progress import Progress
    from .settings import Settings

IMAGE = f"{IMAGE_PREFIX}-dc:latest"
READY = "/usr/local/lib/smbferry-lab/ready"
READY_SECONDS = 300.0  # a machine that was just started reads images from a cold disk
PASSWORD_IN_CONTAINER = "/run/smbferry-lab/admin-password"
SHARES = "/srv"
# What systemd sets wherever it starts a machine, and a container's own network lacks: with the kernel's ten, smbd's
# notices of changed files pile up in smbd itself, and each further file costs it a walk through all of them.
DATAGRAM_QUEUE = "net.unix.max_dgram_qlen=512"
# `make bench` measures clients, not disks. A tmpfs that holds nothing costs nothing.
BENCH_SHARES = ("/srv/benchsrc", "/srv/benchdst")


def up(settings: Settings, docker: Docker, progress: Progress) -> None:
    """Bring the domain up and leave its keytabs and krb5.conf in the cache; harmless where it runs.

    Raises:
        LabError: it did not become ready; its container is removed again.
    """
    build_image(settings, docker, progress)
    network.ensure(settings, docker)
    if docker.running(DC_CONTAINER) and settings.tmpfs and not on_tmpfs(docker):
        progress.say("  · SMBFERRY_LAB_TMPFS is set but the shares are on disk; recreating the domain")
        down(docker)
    if not docker.running(DC_CONTAINER):
        down(docker)
        with progress.step("domain", f"starting the domain {REALM}"):
            try:
                _start(settings, docker)
                wait(docker, DC_CONTAINER, READY)
            except BaseException:
                keep_log(settings, docker, DC_CONTAINER, "domain")
                down(docker)
                raise
    else:
        wait(docker, DC_CONTAINER, READY)
    export(settings, docker, SERVICE_USERS)


def on_tmpfs(docker: Docker) -> bool:
    """Whether the running domain's shares lie in memory."""
    # Docker says null where a container has no tmpfs at all.
    found = json.loads(docker.inspect("container", DC_CONTAINER, "{{json .HostConfig.Tmpfs}}") or "null")
    return SHARES in (found or {})


def down(docker: Docker) -> None:
    """Remove the controller, its member and their files; harmless where they aren't there."""
    for container, volume in ((FS_CONTAINER, FS_VOLUME), (DC_CONTAINER, SRV_VOLUME)):
        remove(docker, container, volume)


def remove(docker: Docker, container: str, volume: str) -> None:
    """Remove a file server and the volume that its shares lie in."""
    if docker.inspect("container", container, "{{.Id}}") is not None:
        docker.text("rm", "--force", "--volumes", container)
    if docker.inspect("volume", volume, "{{.Name}}") is not None:
        docker.text("volume", "rm", volume)


def build_image(settings: Settings, docker: Docker, progress: Progress) -> None:
    """Build the domain controller's image where its inputs changed."""
    base = images.debian(settings, docker, progress)
    source = settings.repo / "lab" / "domain"
    images.build(settings, docker, progress, name="dc", tag=IMAGE, directory=source, arguments={"BASE": base})


def ready(docker: Docker, container: str = DC_CONTAINER, program: str = READY) -> str | None:
    """None when the container's own check finds that it serves; else what is still missing."""
    try:
        docker.text("exec", container, program, timeout=30)
    except LabError as error:
        return str(error)
    return None


def krb5_conf(address: str) -> str:
    """The clients' krb5.conf: one realm, one KDC by address, TCP only, nothing looked up in DNS."""
    return f"""[libdefaults]
    default_realm = {REALM}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
    udp_preference_limit = 1

[realms]
    {REALM} = {{
        kdc = {address}
    }}

[domain_realm]
    .{DNS_DOMAIN} = {REALM}
    {DNS_DOMAIN} = {REALM}
"""


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as sink:
        sink.write(content)
    partial.replace(path)


def mounts(*, in_memory: bool) -> list[str]:
    """The words of `docker run` that give the shares their place; those of the bench are in memory in any case."""
    words = place(SRV_VOLUME, in_memory=in_memory)
    for share in BENCH_SHARES:
        words += ["--tmpfs", f"{share}:rw,exec,mode=0777"]
    return words


def place(volume: str, *, in_memory: bool) -> list[str]:
    """The words of `docker run` that put all shares into memory, or into a volume."""
    return ["--tmpfs", f"{SHARES}:rw,exec,mode=0755"] if in_memory else ["--volume", f"{volume}:{SHARES}"]


def run(settings: Settings, docker: Docker, container: str, host: str, address: str, *words: str) -> None:
    """Start a container of the domain's image at an address; `words` end the command, image included."""
    docker.text(
        "run", "--detach", "--name", container, "--hostname", host, "--domainname", DNS_DOMAIN,
        "--network", NETWORK, "--ip", address, "--cap-add", "SYS_ADMIN", "--security-opt", "label=disable",
        "--sysctl", DATAGRAM_QUEUE, "--volume", f"{settings.admin_password}:{PASSWORD_IN_CONTAINER}:ro", *words,
    )  # fmt: skip


def _start(settings: Settings, docker: Docker) -> None:
    write_private(settings.admin_password, (secrets.token_urlsafe(24) + "aA1!").encode())
    run(settings, docker, DC_CONTAINER, DC_HOST, str(settings.dc_address), *mounts(in_memory=settings.tmpfs), IMAGE)


def wait(docker: Docker, container: str, program: str) -> None:
    """Wait until a container's own check finds that it serves.

    Raises:
        LabError: it ended, or took too long.
    """
    deadline = time.monotonic() + READY_SECONDS
    while (missing := ready(docker, container, program)) is not None:
        if not docker.running(container):
            raise LabError(f"{container} exited unexpectedly:\n{_last_words(docker, container)}")
        if time.monotonic() > deadline:
            raise LabError(
                f"{container} was not ready after {READY_SECONDS:.0f} s: {missing}\n{_last_words(docker, container)}"
            )
        time.sleep(0.5)


def export(settings: Settings, docker: Docker, users: Iterable[str]) -> None:
    """Write users' keytabs into the cache, and the clients' krb5.conf beside them.

    Raises:
        LabError: the domain has no key that a client may use.
    """
    for user in users:
        inside = f"/var/lib/smbferry-lab/keytabs/{user}.export"
        docker.text(
            "exec",
            DC_CONTAINER,
            "sh",
            "-c",
            f"rm -f {inside}; samba-tool domain exportkeytab {inside} --principal={user}",
        )
        entries = [
            entry
            for entry in keytab.parse(docker.output("exec", DC_CONTAINER, "cat", inside))
            if entry.enctype in keytab.AES
        ]
        if not entries:
            raise LabError(f"expected an AES key for {user} from the domain, got none; see `lab/lab logs domain`")
        write_private(settings.keytabs / f"{user}.keytab", keytab.write(entries))
    settings.krb5_conf.write_text(krb5_conf(str(settings.dc_address)))


def _last_words(docker: Docker, container: str) -> str:
    done = docker.text("logs", "--tail", str(shell.TAIL_LINES), container)
    return shell.tail(done)


def keep_log(settings: Settings, docker: Docker, container: str, name: str) -> None:
    """Keep what a container has said, for when it is removed."""
    if docker.inspect("container", container, "{{.Id}}") is not None:
        docker.logged(settings.logs / f"{name}.log", "logs", container)
