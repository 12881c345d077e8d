"""The product in the lab: its own images, with the base that is to be had here, and its chart with them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import images, shell
from .errors import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .docker import Docker
    from .progress import Progress
    from .settings import Settings

RELEASE, NAMESPACE = "smbferry", "smbferry-system"
CHART = "charts/smbferry"
DOCKERFILES = {"agent": "agent_image/Dockerfile", "operator": "operator/Dockerfile"}
# What a build may see: never the whole checkout with its virtual environment and caches.
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "requirements", "crds", "operator", "agent_image", "cli")
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info", ".*")


@dataclass(frozen=True)
class Release:
    """A release of the chart in a namespace of its own."""

    name: str
    namespace: str

    @property
    def operator(self) -> str:
        """The name of its Deployment and of its lease, with which its pods' names begin."""
        return f"{self.name}-operator" if CHART.rpartition("/")[2] in self.name else f"{self.name}-smbferry-operator"


ONLY = Release(RELEASE, NAMESPACE)
"""The release of the lab, unless a test adds another one."""


def tag(name: str) -> str:
    """The image's name and tag in the lab."""
    return f"smbferry-{name}:dev"


def build(settings: Settings, docker: Docker, progress: Progress, name: str) -> str:
    """Build one image where its inputs changed; returns its tag."""
    dockerfile = settings.repo / DOCKERFILES[name]
    if not dockerfile.is_file():
        raise LabError(f"{dockerfile} does not exist; is the checkout complete?")
    base = images.debian(settings, docker, progress)
    with images.context(settings) as directory:
        _fill(settings.repo, directory)
        shutil.copyfile(dockerfile, directory / "Dockerfile")
        images.add_ca_bundle(directory)
        images.build(
            settings, docker, progress, name=name, tag=tag(name), directory=directory, arguments={"BASE": base}
        )
    return tag(name)


def helm_upgrade(
    environment: Mapping[str, str], *settings: str, chart: str | Path = CHART, release: Release = ONLY
) -> list[str]:
    """The command that installs the chart, or upgrades it, with the images that were built here.

    A rebuilt image has the same tag: an annotation with its digest makes the Deployment roll.
    """
    values = []
    for name in DOCKERFILES:
        image = tag(name)
        repository, _, version = image.partition(":")
        digest = shell.text(["docker", "image", "inspect", "--format", "{{.Id}}", image], env=environment)
        values += [f"image.{name}.repository={repository}", f"image.{name}.tag={version}"]
        values.append(f"podAnnotations.{name}={digest.removeprefix('sha256:')[:12]}")
    return [
        *("helm", "upgrade", "--install", release.name, str(chart), "--namespace", release.namespace),
        "--create-namespace",
        *("--set", ",".join([*values, *settings]), "--wait", "--timeout", "3m"),
    ]


def _fill(repo: Path, directory: Path) -> None:
    for name in SOURCES:
        source = repo / name
        if source.is_dir():
            shutil.copytree(source, directory / name, ignore=IGNORED)
        elif source.is_file():
            shutil.copyfile(source, directory / name)
