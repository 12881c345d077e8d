"""Finds a Docker daemon, or starts a private one on a bare Debian machine, and ends that one without a trace."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import firewall, host, shell
from .docker import Docker, answering
from .errors import LabError

if TYPE_CHECKING:
    from .progress import Progress
    from .settings import Settings

BRIDGE = "smbferry0"
EXEC_ROOT = Path("/run/smbferry-docker")
CONTAINERD_PID = EXEC_ROOT / "containerd" / "containerd.pid"
START_SECONDS = 180.0  # a machine that was just started reads layers from a cold disk
STOP_SECONDS = 120.0
# sun_path of unix(7) has 108 bytes; Docker adds a little to some of its sockets.
LONGEST_SOCKET_PATH = 100
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
COMMANDS = {"dockerd": "docker.io", "docker": "docker.io", "iptables": "iptables", "ip": "iproute2"}


def find(settings: Settings) -> Docker | None:
    """The daemon in use: the private one if it runs, else the machine's own."""
    if shutil.which("docker") is None:
        return None
    if _socket(settings).exists() and (private := answering(_host(settings), ours=True)):
        return private
    address = os.environ.get("DOCKER_HOST") or _context_address()
    if address == _host(settings):
        return None
    return answering(address, ours=False)


def ensure(settings: Settings, progress: Progress) -> Docker:
    """The daemon in use, started first where there is none.

    Raises:
        LabError: there is none and none can be started here.
    """
    if found := find(settings):
        return found
    if os.geteuid() != 0 or not host.is_debian():
        raise LabError(
            "expected a running Docker daemon, found none. Start Docker and check that `docker info` works, or run "
            "this command as root on Debian to install and start a private daemon"
        )
    log = settings.logs / "docker.log"
    wanted = COMMANDS if host.can_raise_limits() else COMMANDS | {"jq": "jq"}
    if any(shutil.which(command) is None for command in wanted):
        with progress.step("docker-install", "installing Docker from Debian's packages"):
            host.need_packages(wanted, log)
        if found := find(settings):
            return found
    with progress.step("docker-start", "starting a private Docker daemon"):
        try:
            return _start(settings, log)
        except BaseException:
            stop(settings)
            raise


def left_behind(settings: Settings) -> bool:
    """Whether the private daemon ended without an orderly stop: containers or mounts of its may still be there."""
    return _state(settings).exists() and _pid(_pid_file(settings), "dockerd") is None


def stop(settings: Settings) -> None:
    """End the private daemon and take away its bridge, mounts, firewall rules, sockets; harmless where none runs."""
    pid = _pid(_pid_file(settings), "dockerd")
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        _wait_for_end(pid)
    if not _state(settings).exists():
        return
    before = json.loads(_state(settings).read_text())
    if before["bridge_made"] and Path(f"/sys/class/net/{BRIDGE}").exists():
        shell.output(["ip", "link", "delete", BRIDGE])
    firewall.forget_docker(forward_policy=before["forward_policy"])
    FORWARDING.write_text(before["ip_forward"])
    _unmount(EXEC_ROOT)
    _unmount(_data(settings))
    if EXEC_ROOT.exists():
        shutil.rmtree(EXEC_ROOT)
    for left_over in (_socket(settings), _pid_file(settings), _state(settings)):
        left_over.unlink(missing_ok=True)


def _start(settings: Settings, log: Path) -> Docker:
    used = host.collision(settings.bridge.network, host.networks_in_use())
    if used and not Path(f"/sys/class/net/{BRIDGE}").exists():
        raise LabError(
            f"{settings.bridge.network} is already in use ({used}); set SMBFERRY_LAB_BRIDGE to a free address"
        )
    if (pid := _pid(_pid_file(settings), "dockerd")) is not None:
        raise LabError(f"a private Docker daemon (process {pid}) is running but does not answer; stop it and try again")
    if len(str(_socket(settings))) > LONGEST_SOCKET_PATH:
        raise LabError(f"{_socket(settings)} is too long for a Unix socket; set SMBFERRY_CACHE to a shorter path")
    _root(settings).mkdir(parents=True, exist_ok=True)
    made = not Path(f"/sys/class/net/{BRIDGE}").exists()
    before = {"bridge_made": made, "forward_policy": firewall.forward_policy(), "ip_forward": FORWARDING.read_text()}
    if not _state(settings).exists():
        _state(settings).write_text(json.dumps(before))
    if made:
        shell.output(["ip", "link", "add", BRIDGE, "type", "bridge"])
        shell.output(["ip", "address", "add", str(settings.bridge), "dev", BRIDGE])
        shell.output(["ip", "link", "set", BRIDGE, "up"])
    # dockerd takes any process of these numbers, after a crash or a reboot, for one of its own.
    for pid_file, program in ((_pid_file(settings), "dockerd"), (CONTAINERD_PID, "containerd")):
        if _pid(pid_file, program) is None:
            pid_file.unlink(missing_ok=True)
    settings.logs.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        daemon = subprocess.Popen(
            _command(settings), stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if daemon.poll() is not None:
            break
        if _socket(settings).exists() and (docker := answering(_host(settings), ours=True)):
            return docker
        time.sleep(0.3)
    last = shell.tail(log.read_text(errors="replace"))
    raise LabError(f"the private Docker daemon did not start (full log: {log}):\n{last}")


def _command(settings: Settings) -> list[str]:
    command = ["dockerd", "--data-root", str(_data(settings)), "--exec-root", str(EXEC_ROOT)]
    command += ["--pidfile", str(_pid_file(settings)), "--host", _host(settings), "--bridge", BRIDGE]
    if not host.can_raise_limits():
        wrapper = settings.repo / "lab" / "docker" / "runc-without-sys-resource"
        command += ["--oom-score-adjust", "0", "--add-runtime", f"lab={wrapper}", "--default-runtime", "lab"]
    return command


def _wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        if not _runs(pid, "dockerd"):
            return
        time.sleep(0.2)
    raise LabError(
        f"the private Docker daemon (process {pid}) did not stop within {STOP_SECONDS:.0f} s; stop it manually"
    )


def _pid(pid_file: Path, program: str) -> int | None:
    try:
        pid = int(pid_file.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return pid if _runs(pid, program) else None


def _runs(pid: int, program: str) -> bool:
    """Whether a process is that program and alive: a dead one that nobody has waited for yet is not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return f"({program}) " in state and f"({program}) Z" not in state


def _unmount(root: Path) -> None:
    """Unmount a directory and everything below it, innermost first."""
    mounts = [Path(line.split()[1]) for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if mount.is_relative_to(root)), reverse=True):
        shell.output(["umount", mount])


def _context_address() -> str:
    return shell.text(["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"])


def _root(settings: Settings) -> Path:
    return settings.cache / "docker"


def _data(settings: Settings) -> Path:
    return _root(settings) / "data"


def _socket(settings: Settings) -> Path:
    return _root(settings) / "docker.sock"


def _host(settings: Settings) -> str:
    return f"unix://{_socket(settings)}"


def _pid_file(settings: Settings) -> Path:
    return _root(settings) / "dockerd.pid"


def _state(settings: Settings) -> Path:
    return _root(settings) / "before.json"
