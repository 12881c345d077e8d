"""kind's node image: the upstream one, or one made from Go modules and Debian packages, control-plane images inside."""

from __future__ import annotations

import os
import shutil
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import gobuild, images, shell, versions
from .errors import LabError
from .settings import IMAGE_PREFIX

if TYPE_CHECKING:
    from .docker import Docker
    from .progress import Progress
    from .settings import Settings

IMAGE = f"{IMAGE_PREFIX}-node:{versions.KUBERNETES}"
SYSTEM_IMAGE = f"{IMAGE_PREFIX}-node-system:{versions.KUBERNETES}"
BUILDER = f"{IMAGE_PREFIX}-node-build"
# containerd 1.6 of Debian asks for this sandbox image whatever kubeadm lists.
SANDBOX = f"registry.k8s.io/pause:{versions.PAUSE}"
CONTAINERD_SECONDS = 120.0
# Programs whose image is a stage of the Dockerfile.
STAGES = {"pause": "pause", "kube-proxy": "proxy"}


def ensure(settings: Settings, docker: Docker, progress: Progress) -> str:
    """The name of the node image, pulled or made first."""
    if images.from_upstream(settings, progress):
        image = os.environ.get("SMBFERRY_LAB_NODE_IMAGE", versions.UPSTREAM_NODE)
        images.pull(docker, progress, settings, image)
        return image
    kubernetes = gobuild.kubernetes(settings, docker, progress)
    coredns = gobuild.tool(settings, docker, progress, "coredns")
    base = images.debian(settings, docker, progress)
    with images.context(settings) as directory:
        _fill(settings, docker, progress, directory, [*kubernetes.iterdir(), coredns])
        base_id = docker.inspect("image", base, "{{.Id}}") or ""
        inputs = images.digest(directory, {"BASE": base_id, "KUBERNETES": versions.KUBERNETES})
        if docker.inspect("image", IMAGE, f'{{{{index .Config.Labels "{images.INPUTS_LABEL}"}}}}') == inputs:
            return IMAGE
        with progress.step("image-node", f"building kind's node image for Kubernetes {versions.KUBERNETES}"):
            _build(settings, docker, directory, base, inputs)
    return IMAGE


def _fill(settings: Settings, docker: Docker, progress: Progress, directory: Path, programs: list[Path]) -> None:
    source = settings.repo / "lab" / "node"
    shutil.copytree(source, directory, dirs_exist_ok=True)
    (directory / "bin").mkdir()
    for program in programs:
        os.link(program, directory / "bin" / program.name)
    go = gobuild.toolchain(settings, docker, progress)
    module = go.module("sigs.k8s.io/kind", versions.KIND, settings.cache)
    files = Path(module["Dir"]) / "images" / "base" / "files"
    if not files.is_dir():
        raise LabError(
            f"expected {files} in kind {versions.KIND}, found none: its layout has changed; pin another version"
        )
    shutil.copytree(files, directory / "kind", copy_function=shutil.copyfile)
    for path in (directory / "kind").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _build(settings: Settings, docker: Docker, directory: Path, base: str, inputs: str) -> None:
    log = settings.logs / "image-node.log"
    arguments = ["--build-arg", f"BASE={base}", "--build-arg", f"KUBERNETES={versions.KUBERNETES}"]
    docker.fetched(log, "build", *arguments, "--target", "node", "--tag", SYSTEM_IMAGE, directory)
    wanted = _control_plane(directory / "bin" / "kubeadm")
    for image, program in wanted.items():
        if program in STAGES:
            docker.fetched(log, "build", *arguments, "--target", STAGES[program], "--tag", image, directory)
        else:
            _single(docker, log, image, directory / "bin" / program)
    archive = directory / "images.tar"
    docker.logged(log, "save", "--output", archive, *wanted)
    try:
        _import(docker, log, archive)
        docker.logged(
            log, "commit", "--change", 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]',
            "--change", f"LABEL {images.INPUTS_LABEL}={inputs}", BUILDER, IMAGE,
        )  # fmt: skip
    finally:
        docker.text("rm", "--force", "--volumes", BUILDER)
        docker.text("image", "rm", *wanted)


def _single(docker: Docker, log: Path, image: str, program: Path) -> None:
    """An image of one static program and nothing else."""
    archive = program.with_name(program.name + ".tar")
    with tarfile.open(archive, "w") as tar:
        tar.add(program, arcname=f"usr/local/bin/{program.name}")
    start = f'ENTRYPOINT ["/usr/local/bin/{program.name}"]'
    docker.logged(log, "import", "--change", start, "--change", "ENV PATH=/usr/local/bin", archive, image)
    archive.unlink()


def _control_plane(kubeadm: Path) -> dict[str, str]:
    """Image name → program, as kubeadm asks for them, with the sandbox image that containerd asks for."""
    listed = shell.text([kubeadm, "config", "images", "list", "--kubernetes-version", f"v{versions.KUBERNETES}"])
    return program_of([*listed.splitlines(), SANDBOX])


def program_of(names: list[str]) -> dict[str, str]:
    """Image name → the program in it: the last part of the path, without the tag."""
    return {name: name.rsplit("/", 1)[1].split(":")[0] for name in names if name.startswith("registry.k8s.io/")}


def _import(docker: Docker, log: Path, archive: Path) -> None:
    """Put the images into the content store of a node, as kind itself does when it builds one."""
    docker.logged(
        log, "run", "--detach", "--privileged", "--name", BUILDER, "--network", "none",
        "--volume", f"{archive}:/images.tar:ro", "--entrypoint", "containerd", SYSTEM_IMAGE,
    )  # fmt: skip
    deadline = time.monotonic() + CONTAINERD_SECONDS
    while True:
        try:
            docker.text("exec", BUILDER, "ctr", "version")
            break
        except LabError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
    docker.logged(
        log,
        "exec",
        BUILDER,
        "ctr",
        "--namespace",
        "k8s.io",
        "images",
        "import",
        "--all-platforms",
        "--no-unpack",
        "/images.tar",
    )
    docker.text("stop", BUILDER)
