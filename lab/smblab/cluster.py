"""The Kubernetes cluster: two kind nodes on the lab's network, with routes between them where the network is ours."""

from __future__ import annotations

import json
import os
import time
from itertools import product
from typing import TYPE_CHECKING

from . import domain, gobuild, host, images, network, node, shell, versions
from .errors import LabError
from .settings import CLUSTER, NETWORK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .docker import Docker
    from .progress import Progress
    from .settings import Settings

NODES = (f"{CLUSTER}-control-plane", f"{CLUSTER}-worker")
POD_NETWORKS = ("10.244.0.0/24", "10.244.1.0/24")
READY_SECONDS = 300  # a machine that was just started reads images from a cold disk
# On a node: which image it was given under which name. kind itself asks crictl, which nodes made here do not have.
GIVEN = "/kind/given"


def up(settings: Settings, docker: Docker, progress: Progress) -> None:
    """Bring the cluster up, its kubeconfigs in the cache; harmless where it runs.

    Raises:
        LabError: it did not become ready; its nodes are removed again and their logs kept.
    """
    kind = gobuild.tool(settings, docker, progress, "kind")
    gobuild.tool(settings, docker, progress, "helm")
    image = node.ensure(settings, docker, progress)
    _kubectl(settings, docker, image, progress)
    network.ensure(settings, docker)
    if healthy(settings, docker):
        _join(docker, progress, settings)
        return
    _delete(settings, docker, kind)
    with progress.step("cluster", f"starting the cluster {CLUSTER} (Kubernetes {versions.KUBERNETES}, two nodes)"):
        try:
            _create(settings, docker, kind, image, progress)
            _join(docker, progress, settings)
            _wait(settings)
        except BaseException:
            _keep_logs(settings, docker, kind)
            _delete(settings, docker, kind)
            raise


def down(settings: Settings, docker: Docker) -> None:
    """Remove the nodes; harmless where they aren't there."""
    for name in NODES:
        if docker.inspect("container", name, "{{.Id}}") is not None:
            docker.text("rm", "--force", "--volumes", name)
    settings.kubeconfig.unlink(missing_ok=True)
    settings.kubeconfig_internal.unlink(missing_ok=True)


def healthy(settings: Settings, docker: Docker) -> bool:
    """Whether both nodes run and the API server says that it is ready."""
    if not settings.kubeconfig.exists() or not all(docker.running(name) for name in NODES):
        return False
    return shell.succeeds(kubectl(settings, "get", "--raw", "/readyz"), timeout=15)


def load(settings: Settings, docker: Docker, progress: Progress, names: Sequence[str]) -> None:
    """Give images of the Docker daemon to the nodes, those that they were not given yet.

    Raises:
        LabError: an image that the daemon does not have.
    """
    kind = gobuild.tool(settings, docker, progress, "kind")
    ids = {name: docker.inspect("image", name, "{{.Id}}") for name in names}
    if absent := [name for name, id_ in ids.items() if id_ is None]:
        raise LabError(f"image {', '.join(absent)} does not exist; build it first")
    wanted = [name for name, id_ in ids.items() if any(_given(docker, node, name) != id_ for node in NODES)]
    if not wanted:
        return
    with progress.step("load", f"loading {' and '.join(wanted)} into the cluster"):
        shell.logged(
            [kind, "load", "docker-image", *wanted, "--name", CLUSTER],
            settings.logs / "load.log",
            env=environment(docker),
        )
        note = 'mkdir -p "$(dirname "$0")" && echo "$1" >"$0"'
        for name, node_name in product(wanted, NODES):
            docker.text("exec", node_name, "sh", "-c", note, f"{GIVEN}/{name}", str(ids[name]))


def _given(docker: Docker, node_name: str, name: str) -> str:
    """The ID of the image that a node was last given under a name; empty where there was none."""
    return docker.text("exec", node_name, "sh", "-c", 'cat "$0" 2>/dev/null || true', f"{GIVEN}/{name}")


def kubectl(settings: Settings, *arguments: str) -> list[str | Path]:
    """A kubectl command line for the lab's cluster."""
    return [settings.bin / "kubectl", "--kubeconfig", settings.kubeconfig, *arguments]


def environment(docker: Docker) -> dict[str, str]:
    """What kind needs to know."""
    return {**docker.env, "KIND_EXPERIMENTAL_DOCKER_NETWORK": NETWORK}


def kind_config(conflists: Sequence[Path], *, limit_oom_score: bool) -> dict[str, object]:
    """kind's configuration (kind.x-k8s.io/v1alpha4), of which JSON is as good a form as YAML.

    `conflists` are CNI configurations for control plane and worker; none where the image brings its own network.
    """
    nodes: list[dict[str, object]] = [{"role": "control-plane"}, {"role": "worker"}]
    config: dict[str, object] = {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": nodes}
    if conflists:
        config["networking"] = {"disableDefaultCNI": True}
        for entry, conflist in zip(nodes, conflists, strict=True):
            entry["extraMounts"] = [{"hostPath": str(conflist), "containerPath": "/etc/cni/net.d/10-bridge.conflist"}]
    if limit_oom_score:
        patch = '[plugins."io.containerd.grpc.v1.cri"]\n  restrict_oom_score_adj = true'
        config["containerdConfigPatches"] = [patch]
    return config


def bridge_conflist(pods: str) -> dict[str, object]:
    """A CNI configuration: one bridge per node, addresses of `pods` (CIDR), published ports."""
    ipam = {"type": "host-local", "ranges": [[{"subnet": pods}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "hairpinMode": True, "ipam": ipam}
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "smbferry", "plugins": [bridge, portmap]}


def _create(settings: Settings, docker: Docker, kind: Path, image: str, progress: Progress) -> None:
    ours = not images.from_upstream(settings, progress)
    directory = settings.cache / "cluster"
    directory.mkdir(parents=True, exist_ok=True)
    conflists = []
    for name, pods in zip(NODES, POD_NETWORKS, strict=True) if ours else ():
        conflist = directory / f"{name}.conflist"
        conflist.write_text(json.dumps(bridge_conflist(pods)))
        conflists.append(conflist)
    config = directory / "kind.json"
    config.write_text(json.dumps(kind_config(conflists, limit_oom_score=ours and not host.can_raise_limits())))
    shell.logged(
        [kind, "create", "cluster", "--name", CLUSTER, "--image", image, "--config", config, "--retain",
         "--kubeconfig", settings.kubeconfig],
        settings.logs / "cluster.log",
        env=environment(docker),
    )  # fmt: skip
    internal = shell.output([kind, "get", "kubeconfig", "--name", CLUSTER, "--internal"], env=environment(docker))
    domain.write_private(settings.kubeconfig_internal, internal)


def _join(docker: Docker, progress: Progress, settings: Settings) -> None:
    """Routes from each node to the other's pods; the upstream image's own network does that by itself."""
    if images.from_upstream(settings, progress):
        return
    addresses = [
        docker.inspect("container", name, f"{{{{.NetworkSettings.Networks.{NETWORK}.IPAddress}}}}") for name in NODES
    ]
    for name, pods, via in ((NODES[0], POD_NETWORKS[1], addresses[1]), (NODES[1], POD_NETWORKS[0], addresses[0])):
        docker.text("exec", name, "ip", "route", "replace", pods, "via", str(via))


def _wait(settings: Settings) -> None:
    shell.output(
        kubectl(settings, "wait", "--for=condition=Ready", "nodes", "--all", f"--timeout={READY_SECONDS}s"),
        timeout=READY_SECONDS + 10,
    )
    deadline = time.monotonic() + READY_SECONDS
    # Pods need it, and it appears a moment after the API server does.
    while not shell.succeeds(kubectl(settings, "get", "serviceaccount", "default"), timeout=15):
        if time.monotonic() > deadline:
            raise LabError("the cluster did not create a default ServiceAccount; see `lab/lab logs cluster`")
        time.sleep(0.5)
    shell.output(
        kubectl(
            settings,
            "rollout",
            "status",
            "--namespace=kube-system",
            "deployment/coredns",
            f"--timeout={READY_SECONDS}s",
        ),
        timeout=READY_SECONDS + 10,
    )


def _kubectl(settings: Settings, docker: Docker, image: str, progress: Progress) -> None:
    if not images.from_upstream(settings, progress):
        gobuild.link(settings, "kubectl", gobuild.kubernetes(settings, docker, progress) / "kubectl")
        return
    target = settings.cache / "tools" / f"kubectl-{versions.KUBERNETES}" / "kubectl"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        content = docker.output("run", "--rm", "--entrypoint", "cat", image, "/usr/bin/kubectl", timeout=300)
        partial = target.with_suffix(".partial")
        partial.write_bytes(content)
        partial.chmod(0o755)
        partial.rename(target)
    gobuild.link(settings, "kubectl", target)


def _delete(settings: Settings, docker: Docker, kind: Path) -> None:
    shell.output(
        [kind, "delete", "cluster", "--name", CLUSTER, "--kubeconfig", settings.kubeconfig], env=environment(docker)
    )
    down(settings, docker)


def _keep_logs(settings: Settings, docker: Docker, kind: Path) -> None:
    target = settings.logs / f"cluster-{os.getpid()}"
    if shell.succeeds([kind, "export", "logs", target, "--name", CLUSTER], env=environment(docker), timeout=120):
        (settings.logs / "cluster-failed").unlink(missing_ok=True)
        (settings.logs / "cluster-failed").symlink_to(target)
