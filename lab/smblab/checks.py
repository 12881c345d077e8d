"""What `make charts` calls: programs from pinned Go modules and PyPI, and the schemas of foreign kinds; built once."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import daemon, gobuild, images, shell, versions
from .errors import LabError

if TYPE_CHECKING:
    from .docker import Docker
    from .progress import Progress
    from .settings import Settings

PROGRAMS = ("kubeconform", "kube-score")
# The Prometheus Operator's kinds as its own build makes them from their Go types.
MONITORING = "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
GENERATE = ("tool", "controller-gen", "crd:crdVersions=v1,allowDangerousTypes=true", f"paths={MONITORING}")


def needed(settings: Settings, progress: Progress) -> Docker | None:
    """Build what the rest of the lab needs too: helm, and Docker where the machine has no Go of its own."""
    docker = None if gobuild.machine_has_go() else daemon.ensure(settings, progress)
    gobuild.tool(settings, docker, progress, "helm")
    return docker


def up(settings: Settings, docker: Docker | None, progress: Progress) -> None:
    """Build what isn't in the cache; `docker` is what `needed` gave."""
    for name in PROGRAMS:
        gobuild.tool(settings, docker, progress, name)
    _checkov(settings, progress)
    _own(settings, docker, progress)
    _openapi(settings, docker, progress)


def openapi(settings: Settings) -> Path:
    """The OpenAPI description (version 2) of Kubernetes' own kinds.

    Raises:
        LabError: it is not there yet; so of the next two.
    """
    return _there(_described(settings))


def monitoring(settings: Settings) -> Path:
    """Directory of the Prometheus Operator's CustomResourceDefinitions."""
    return _there(_built(settings) / "monitoring")


def checkov_python(settings: Settings) -> Path:
    """The Python that checkov runs in, with the libraries that it brings along: CycloneDX's for one."""
    return _there((settings.bin / "checkov").resolve().with_name("python"))


def _there(path: Path) -> Path:
    if not path.exists():
        raise LabError(f"{path} has not been built: run `lab/lab checks`")
    return path


def _described(settings: Settings) -> Path:
    return settings.cache / "tools" / f"openapi-{versions.KUBERNETES}.json"


def _openapi(settings: Settings, docker: Docker | None, progress: Progress) -> None:
    target = _described(settings)
    if not target.exists():
        go = gobuild.toolchain(settings, docker, progress)
        found = go.module("k8s.io/kubernetes", f"v{versions.KUBERNETES}", settings.cache)
        shutil.copyfile(Path(found["Dir"]) / "api" / "openapi-spec" / "swagger.json", target)


def _built(settings: Settings) -> Path:
    digest = images.digest(settings.repo / "lab" / "checks", {})
    return settings.cache / "tools" / f"checks-{digest[:12]}"


def _own(settings: Settings, docker: Docker | None, progress: Progress) -> None:
    """The project's own Go program, and what is generated from the module's other dependencies."""
    target = _built(settings)
    if not target.exists():
        partial = _empty(target)
        # A Go in a container sees the cache, not the repository.
        source = shutil.copytree(settings.repo / "lab" / "checks", partial / "source")
        go, log = gobuild.toolchain(settings, docker, progress), settings.logs / "checks.log"
        with progress.step("checks", "building kstatus and the Prometheus Operator's CRDs from their Go modules"):
            build = ["build", "-trimpath", "-ldflags", "-s -w", "-o", str(partial / "kstatus"), "./kstatus"]
            go.logged(log, build, source, {"CGO_ENABLED": "0"})
            go.logged(log, [*GENERATE, f"output:crd:dir={partial / 'monitoring'}"], source, {"CGO_ENABLED": "0"})
        shutil.rmtree(source)
        partial.rename(target)
    gobuild.link(settings, "kstatus", target / "kstatus")


def _checkov(settings: Settings, progress: Progress) -> None:
    """Checkov in a virtual environment of its own: what it needs is no business of the project's."""
    lock = settings.repo / "requirements" / "checkov.lock"
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    target = settings.cache / "tools" / f"checkov-{digest[:12]}"
    if not (target / "complete").exists():
        shutil.rmtree(target, ignore_errors=True)
        log = settings.logs / "checkov.log"
        with progress.step("checkov", "installing checkov from PyPI"):
            shell.logged([sys.executable, "-m", "venv", target], log)  # its scripts know where it is: made in its place
            pip = (target / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            install: list[str | Path] = [*pip, "--require-hashes", "--requirement", lock]
            shell.fetched(lambda: shell.logged(install, log))
            (target / "complete").touch()
    gobuild.link(settings, "checkov", target / "bin" / "checkov")


def _empty(target: Path) -> Path:
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return partial
