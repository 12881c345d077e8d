"""The command line of lab/lab."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from . import (
    checks,
    cluster,
    daemon,
    domain,
    exports,
    images,
    lock,
    member,
    network,
    product,
    settings,
    status,
    tools,
)
from .errors import LabError
from .progress import Progress, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from .docker import Docker
    from .settings import Settings

DOWN_STATUS = 3
INTERRUPTED = 130
DESCRIPTION = """\
A real Active Directory domain (Samba) and a two-node Kubernetes cluster (kind) on one Docker network.

  lab/lab up              start everything, or parts: up docker domain cluster tools
  eval "$(lab/lab env)"   configure kubectl, helm, kinit, smbclient and rclone
  lab/lab tools -- CMD    run CMD in a container on the lab's network, with the repository mounted
  lab/lab down            stop the lab and remove everything except the cache
"""
EPILOGUE = f"""\
environment:
  SMBFERRY_CACHE           cache folder; the lab uses lab/ in it (default ~/.cache/smbferry)
  SMBFERRY_LAB_IMAGES      auto (default), upstream (pull images) or build (build them locally)
  SMBFERRY_LAB_SUBNET      the lab's network (default {settings.DEFAULT_SUBNET})
  SMBFERRY_LAB_BRIDGE      the private daemon's own bridge (default {settings.DEFAULT_BRIDGE})
  SMBFERRY_LAB_TMPFS       1: keep the shares in memory
  SMBFERRY_LAB_NODE_IMAGE  another upstream node image
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (0 done, 1 failed, 3 status: something is down, 130 interrupted)."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    if sys.platform != "linux":
        print(f"lab: expected Linux (or WSL 2), got {sys.platform}", file=sys.stderr)
        return 1
    chosen = _parser().parse_args(arguments)
    try:
        lab = settings.current()
        handler: Callable[[Settings, Progress, argparse.Namespace], int] = chosen.handler
        return handler(lab, Progress(lab.cache / "durations.json"), chosen)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted and cleaned up", file=sys.stderr)
        return INTERRUPTED


def _up(lab: Settings, progress: Progress, chosen: argparse.Namespace) -> int:
    wanted = chosen.part or list(status.PARTS)
    began = time.monotonic()
    with lock.held(lab, progress):
        before = daemon.find(lab)
        docker = before or daemon.ensure(lab, progress)
        try:
            if "domain" in wanted:
                domain.up(lab, docker, progress)
                member.start(lab, docker)
            if "cluster" in wanted:
                cluster.up(lab, docker, progress)
            if "tools" in wanted:
                tools.up(lab, docker, progress)
            if "domain" in wanted:
                member.finish(lab, docker, progress)
        except BaseException:
            _abandon(lab, docker, started=before is None)
            raise
    progress.say(
        f'lab: {", ".join(wanted)} started in {seconds(time.monotonic() - began)}; next: eval "$(lab/lab env)"'
    )
    return 0


def _abandon(lab: Settings, docker: Docker, *, started: bool) -> None:
    """After a failed start: end the daemon too, if this start began it and nothing runs in it."""
    if started and docker.ours and not docker.text("ps", "--quiet"):
        network.remove(docker)
        daemon.stop(lab)


def _down(lab: Settings, progress: Progress, _chosen: argparse.Namespace) -> int:
    with lock.held(lab, progress):
        _stop(lab, progress)
    progress.say("lab: stopped; images and programs are kept in the cache (`lab/lab clean` removes them)")
    return 0


def _stop(lab: Settings, progress: Progress) -> None:
    if daemon.left_behind(lab):
        # Only a daemon can take its containers down in order: the one that died is started once more for that.
        daemon.ensure(lab, progress)
    docker = daemon.find(lab)
    if docker is not None:
        tools.down(docker)
        cluster.down(lab, docker)
        domain.down(docker)
        if docker.ours:
            _empty(docker)
        network.remove(docker)
    daemon.stop(lab)
    for secret in (lab.keytabs, lab.admin_password.parent, lab.cache / "tmp", lab.cache / "cluster"):
        shutil.rmtree(secret, ignore_errors=True)
    lab.krb5_conf.unlink(missing_ok=True)


def _empty(docker: Docker) -> None:
    """Remove what others put into the private daemon: it ends, and nothing may stay."""
    for container in docker.text("container", "ls", "--all", "--quiet").split():
        docker.text("container", "rm", "--force", "--volumes", container)
    for volume in docker.text("volume", "ls", "--quiet").split():
        docker.text("volume", "rm", volume)
    for custom in docker.text("network", "ls", "--filter", "type=custom", "--quiet").split():
        docker.text("network", "rm", custom)


def _clean(lab: Settings, progress: Progress, _chosen: argparse.Namespace) -> int:
    with lock.held(lab, progress):
        docker = daemon.find(lab)
        try:
            _stop(lab, progress)
        except LabError as error:
            if docker is not None and not docker.ours:
                raise
            # The private daemon may not start because its files are damaged: then they are removed all the more.
            progress.say(f"  · {error}")
            daemon.stop(lab)
        if docker is not None and not docker.ours:
            _remove_images(docker)
    # Go marks its module cache read-only.
    for directory, _, _ in os.walk(lab.cache / "go"):
        os.chmod(directory, 0o755)  # noqa: PTH101 (os.walk gives strings)
    shutil.rmtree(lab.cache)
    progress.say(f"lab: removed {lab.cache}; the next start builds everything again")
    return 0


def _remove_images(docker: Docker) -> None:
    names = docker.text("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    ours = [name for name in names if name.startswith(f"{settings.IMAGE_PREFIX}-")]
    if ours:
        docker.text("image", "rm", *ours)


def _status(lab: Settings, _progress: Progress, _chosen: argparse.Namespace) -> int:
    found = status.find(lab)
    print(status.render(found))
    return 0 if all(part.up for part in found) else DOWN_STATUS


def _env(lab: Settings, _progress: Progress, _chosen: argparse.Namespace) -> int:
    docker = _running(lab)
    values = exports.variables(lab, docker.env, inside=False)
    print(exports.render({**values, "PATH": exports.path(lab, os.environ.get("PATH", ""))}))
    return 0


def _logs(lab: Settings, _progress: Progress, chosen: argparse.Namespace) -> int:
    print(status.logs(lab, daemon.find(lab), chosen.part))
    return 0


def _load(lab: Settings, progress: Progress, chosen: argparse.Namespace) -> int:
    docker = _running(lab)
    with lock.held(lab, progress):
        cluster.load(lab, docker, progress, chosen.image)
    return 0


def _build(lab: Settings, progress: Progress, chosen: argparse.Namespace) -> int:
    with lock.held(lab, progress):
        docker = daemon.ensure(lab, progress)
        images.debian(lab, docker, progress)
    # What takes long needs nothing but the daemon and the base: tests may begin meanwhile.
    for name in chosen.name:
        if name == "tools":
            tools.build_image(lab, docker, progress)
            print(tools.IMAGE)
        else:
            print(product.build(lab, docker, progress, name))
    return 0


def _checks(lab: Settings, progress: Progress, _chosen: argparse.Namespace) -> int:
    with lock.held(lab, progress):
        docker = checks.needed(lab, progress)
    with lock.held(lab, progress, "lock-checks"):
        checks.up(lab, docker, progress)
    return 0


def _tools(lab: Settings, progress: Progress, chosen: argparse.Namespace) -> int:
    docker = _running(lab)
    with lock.held(lab, progress, "lock-tools"):  # tests need not wait for images of the product that are being built
        tools.build_image(lab, docker, progress)
    tools.run(lab, docker, chosen.command)


def _running(lab: Settings) -> Docker:
    docker = daemon.find(lab)
    if docker is None:
        raise LabError("expected a running Docker daemon, found none; run `lab/lab up` first")
    return docker


def _part(name: str) -> str:
    if name not in status.PARTS:
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(status.PARTS)}, got {name!r}")
    return name


def _as_interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lab/lab", description=DESCRIPTION, epilog=EPILOGUE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, handler: Callable[[Settings, Progress, argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(handler=handler)
        return sub

    up = command("up", _up, "start the lab, or parts of it")
    up.add_argument("part", nargs="*", type=_part, help=f"{', '.join(status.PARTS)}; default: all")
    command("down", _down, "stop the lab and keep the cache")
    command("clean", _clean, "stop the lab and remove the cache")
    command("status", _status, "show which parts run; exit code 3 if a part does not")
    command("env", _env, "print environment variables as shell exports")
    command("logs", _logs, "show the logs of a part").add_argument("part", choices=status.PARTS[:3])
    command("load", _load, "load images into the cluster's nodes").add_argument("image", nargs="+")
    command("build", _build, "build images of the product").add_argument(
        "name", nargs="+", choices=[*product.DOCKERFILES, "tools"]
    )
    command("checks", _checks, "build the programs that check the chart")
    command("tools", _tools, "run a command in the tools container").add_argument("command", nargs="+")
    return parser
