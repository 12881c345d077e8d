"""The chart in the lab's cluster: installing, upgrading and uninstalling it, and its operator that leads."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from lab.smblab import product
from lab.support.cluster.kube import Kube, holder

if TYPE_CHECKING:
    from lab.support.cluster.kube import Object

ROOT = Path(__file__).resolve().parents[3]
SYSTEM = product.NAMESPACE


def install_chart(
    environment: dict[str, str],
    *settings: str,
    chart: str | Path = product.CHART,
    release: product.Release = product.ONLY,
) -> None:
    """Installs or upgrades the chart, or the one at another place, with the images that the lab built."""
    _helm(environment, *product.helm_upgrade(environment, *settings, chart=chart, release=release))


def uninstall_chart(environment: dict[str, str], release: product.Release = product.ONLY) -> None:
    """Uninstalls the chart."""
    _helm(
        environment,
        *("helm", "uninstall", release.name, "--namespace", release.namespace, "--wait", "--ignore-not-found"),
    )


def leading_pod(environment: dict[str, str], *, other_than: str = "", release: product.Release = product.ONLY) -> str:
    """The installed operator that leads, as soon as one does that is not `other_than`."""

    def holds(lease: Object) -> bool:
        return holder(lease) not in {"", other_than}

    lease = Kube(environment, release.namespace).wait("lease", release.operator, "held by a leader", holds)
    return holder(lease)


def _helm(environment: dict[str, str], *command: str) -> None:
    done = subprocess.run(command, env=environment, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
