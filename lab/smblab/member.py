"""The member server fs1: a file server of the domain that is no controller, with real access lists on its shares.

What it serves, and to whom, stands in lab/domain/etc/samba/member.conf.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import domain
from .settings import FS_CONTAINER, FS_HOST, FS_VOLUME, PLAIN_USERS

if TYPE_CHECKING:
    from .docker import Docker
    from .progress import Progress
    from .settings import Settings

ENTRY = "/usr/local/lib/smbferry-lab/member"
READY = f"{ENTRY}-ready"
# One folder that fills up while the rest of its share has room.
SMALL = f"{domain.SHARES}/acl-dst/tight:rw,mode=0777,size=48m"


def start(settings: Settings, docker: Docker) -> None:
    """Begin to start it, in a domain that is up; harmless where it runs."""
    if not docker.running(FS_CONTAINER):
        domain.remove(docker, FS_CONTAINER, FS_VOLUME)
        shares = domain.place(FS_VOLUME, in_memory=settings.tmpfs)
        domain.run(
            settings, docker, FS_CONTAINER, FS_HOST, str(settings.fs_address), *shares, "--tmpfs", SMALL,
            "--health-cmd", READY, "--entrypoint", "/usr/bin/tini",
            domain.IMAGE, "--", ENTRY, str(settings.dc_address),
        )  # fmt: skip


def finish(settings: Settings, docker: Docker, progress: Progress) -> None:
    """Wait until it serves, and leave the keytabs of its accounts in the cache.

    Raises:
        LabError: it did not become ready; its container is removed again.
    """
    if ready(docker) is not None:
        with progress.step("member", f"waiting until {FS_HOST} has joined the domain"):
            try:
                domain.wait(docker, FS_CONTAINER, READY)
            except BaseException:
                domain.keep_log(settings, docker, FS_CONTAINER, "member")
                domain.remove(docker, FS_CONTAINER, FS_VOLUME)
                raise
    domain.export(settings, docker, PLAIN_USERS)


def ready(docker: Docker) -> str | None:
    """None when an account gets into a share; else what is still missing."""
    return domain.ready(docker, FS_CONTAINER, READY)
