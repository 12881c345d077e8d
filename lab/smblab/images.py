"""Images: their base, pulled or made from Debian's packages, and builds that happen only when inputs changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from . import host, shell, versions
from .errors import LabError
from .settings import IMAGE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .docker import Docker
    from .progress import Progress
    from .settings import Settings

DEBIAN_BASE = f"{IMAGE_PREFIX}-debian:{versions.DEBIAN_SUITE}"
INPUTS_LABEL = "smbferry.lab.inputs"
CA_NAME = "ca-bundle.crt"
CA_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
MACHINE_CA = Path("/etc/ssl/certs/ca-certificates.crt")


def from_upstream(settings: Settings, progress: Progress) -> bool:
    """Whether images come from a registry; asked once, then remembered in the cache."""
    if settings.images != "auto":
        return settings.images == "upstream"
    remembered = settings.cache / "images-from"
    if remembered.exists():
        return remembered.read_text().strip() == "upstream"
    upstream = host.registry_answers()
    if not upstream and not host.is_debian():
        raise LabError(
            f"the image registry ({host.REGISTRY}) is not reachable, and base images can be built only on Debian. "
            "Fix the connection to the registry, or set SMBFERRY_LAB_IMAGES=upstream if Docker uses a proxy"
        )
    settings.cache.mkdir(parents=True, exist_ok=True)
    remembered.write_text("upstream\n" if upstream else "build\n")
    way = "pulled from registries" if upstream else "built locally from Debian packages and Go modules"
    progress.say(f"  · images are {way} (set SMBFERRY_LAB_IMAGES=upstream|build to change this)")
    return upstream


def debian(settings: Settings, docker: Docker, progress: Progress) -> str:
    """The name of the Debian base that every Dockerfile of ours takes as BASE; made or pulled first."""
    if from_upstream(settings, progress):
        pull(docker, progress, settings, versions.UPSTREAM_DEBIAN)
        return versions.UPSTREAM_DEBIAN
    if docker.inspect("image", DEBIAN_BASE, "{{.Id}}") is None:
        log = settings.logs / "base.log"
        with progress.step("base", f"building a Debian {versions.DEBIAN_SUITE} base image"):
            host.need_packages({"mmdebstrap": "mmdebstrap"}, log)
            archive = settings.cache / "base" / f"{versions.DEBIAN_SUITE}.tar"
            if not archive.exists():
                archive.parent.mkdir(parents=True, exist_ok=True)
                partial = archive.with_suffix(".partial.tar")
                command: list[str | Path] = ["mmdebstrap", "--variant=minbase", versions.DEBIAN_SUITE, partial]
                shell.fetched(lambda: shell.logged(command, log))
                partial.rename(archive)
            docker.logged(log, "import", archive, DEBIAN_BASE)
    return DEBIAN_BASE


def pull(docker: Docker, progress: Progress, settings: Settings, image: str) -> None:
    """Pull an upstream image that isn't there yet."""
    if docker.inspect("image", image, "{{.Id}}") is None:
        with progress.step("pull", f"pulling {image}"):
            docker.fetched(settings.logs / "pull.log", "pull", image)


def digest(root: Path, extra: Mapping[str, str]) -> str:
    """A hash of every file below `root` (names, modes, contents) and of the build's other inputs."""
    total = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        mode = "x" if os.access(path, os.X_OK) else "-"
        total.update(f"{path.relative_to(root)}\0{mode}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    for key in sorted(extra):
        total.update(f"{key}={extra[key]}\n".encode())
    return total.hexdigest()


@contextmanager
def context(settings: Settings) -> Iterator[Path]:
    """A build context that goes away afterwards."""
    (settings.cache / "tmp").mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="context-", dir=settings.cache / "tmp"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def add_ca_bundle(directory: Path) -> None:
    """Put the machine's CA bundle into a build context; builder stages `COPY some.lock ca-bundle.cr[t] …`."""
    named = [Path(os.environ[name]) for name in CA_VARIABLES if os.environ.get(name)]
    for bundle in (*named, MACHINE_CA):
        if bundle.is_file():
            shutil.copyfile(bundle, directory / CA_NAME)
            return


def build(
    settings: Settings,
    docker: Docker,
    progress: Progress,
    *,
    name: str,
    tag: str,
    directory: Path,
    arguments: Mapping[str, str],
) -> None:
    """Build an image from a context directory, unless the image there was built from the same inputs.

    `name` is the key under which durations and logs are kept.
    """
    base = docker.inspect("image", arguments["BASE"], "{{.Id}}") or ""
    inputs = digest(directory, {**arguments, "BASE": base})
    if docker.inspect("image", tag, f'{{{{index .Config.Labels "{INPUTS_LABEL}"}}}}') == inputs:
        return
    before = docker.inspect("image", tag, "{{.Id}}")
    command: list[str | Path] = ["build", "--tag", tag, "--label", f"{INPUTS_LABEL}={inputs}"]
    for key, value in arguments.items():
        command += ["--build-arg", f"{key}={value}"]
    with progress.step(f"image-{name}", f"building the image {tag}"):
        docker.fetched(settings.logs / f"image-{name}.log", *command, directory)
    if before is not None and not docker.text("ps", "--all", "--quiet", "--filter", f"ancestor={before}"):
        docker.text("image", "rm", before)
