"""What a Docker daemon leaves in the packet filter, and how it is taken out again once no daemon runs."""

from __future__ import annotations

import re

from . import shell

DOCKER_CHAIN = re.compile(r"\bDOCKER(-[A-Z0-9-]+)?\b")
DOCKER_BRIDGE = re.compile(r"(-i|-o) (br-[0-9a-f]{12}|smbferry0|docker0)\b")
MASQUERADE = re.compile(r"^-A POSTROUTING -s (?P<network>\S+) ! -o (br-[0-9a-f]{12}|smbferry0|docker0) -j MASQUERADE$")
PUBLISHED = re.compile(r"^-A POSTROUTING -s (?P<from>\S+) -d (?P=from) .*-j MASQUERADE$")


def without_docker(rules: str, forward_policy: str) -> str:
    """The text of iptables-save without the chains and rules of Docker, with FORWARD's policy as it was before."""
    kept = []
    for line in rules.splitlines():
        if line.startswith(":FORWARD ") and forward_policy:
            kept.append(re.sub(r"^:FORWARD \S+", f":FORWARD {forward_policy}", line))
        elif not any(pattern.search(line) for pattern in (DOCKER_CHAIN, DOCKER_BRIDGE, MASQUERADE, PUBLISHED)):
            kept.append(line)
    return "\n".join(kept) + "\n"


def forward_policy() -> str:
    """The policy of the FORWARD chain now: ACCEPT or DROP."""
    for line in shell.text(["iptables", "--list-rules", "FORWARD"]).splitlines():
        if line.startswith("-P FORWARD "):
            return line.split()[2]
    return "ACCEPT"


def forget_docker(forward_policy: str) -> None:
    """Take Docker's chains and rules out of the packet filter."""
    rules = shell.text(["iptables-save"])
    shell.output(["iptables-restore"], stdin=without_docker(rules, forward_policy).encode())
