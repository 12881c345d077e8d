"""Builds Go programs from pinned modules: by the machine's own go where it is new enough, else in a container."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import images, shell, versions
from .errors import LabError
from .settings import IMAGE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .docker import Docker
    from .progress import Progress
    from .settings import Settings

GO_IMAGE = f"{IMAGE_PREFIX}-go:latest"
CA_IN_CONTAINER = "/etc/ssl/certs/machine-ca.crt"


@dataclass(frozen=True)
class Tool:
    """One program: `package` is what `go install` is given, `variables` are set by the linker."""

    name: str
    package: str
    version: str
    variables: tuple[str, ...] = ()


TOOLS = {
    tool.name: tool
    for tool in (
        Tool("kind", "sigs.k8s.io/kind", versions.KIND),
        Tool("coredns", "github.com/coredns/coredns", versions.COREDNS),
        Tool(
            "helm",
            "helm.sh/helm/v3/cmd/helm",
            versions.HELM,
            (f"helm.sh/helm/v3/internal/version.version={versions.HELM}",),
        ),
        Tool(
            "rclone",
            "github.com/rclone/rclone",
            versions.RCLONE,
            (f"github.com/rclone/rclone/fs.Version={versions.RCLONE}",),
        ),
        Tool("kwok", "sigs.k8s.io/kwok/cmd/kwok", versions.KWOK),
        Tool("kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform", versions.KUBECONFORM),
        Tool("kube-score", "github.com/zegl/kube-score/cmd/kube-score", versions.KUBE_SCORE),
    )
}
KUBERNETES_COMMANDS = (
    "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubeadm", "kubectl",
)  # fmt: skip


class Go:
    """A Go toolchain: the machine's own, or one in an image, run with `env` to find the Docker daemon."""

    def __init__(self, settings: Settings, image: str | None = None, env: Mapping[str, str] | None = None) -> None:
        self._settings = settings
        self._image = image
        self._docker_env = dict(env or {})

    def command(self, arguments: Sequence[str], directory: Path, env: Mapping[str, str]) -> list[str | Path]:
        """The command line that runs `go` with these arguments; paths are the same inside and outside."""
        if self._image is None:
            return ["go", *arguments]
        cache = self._settings.cache
        inside = {"GOPATH": str(cache / "go"), "GOCACHE": str(cache / "go-build"), "HOME": str(cache / "go"), **env}
        if proxy := os.environ.get("GOPROXY"):
            inside["GOPROXY"] = proxy
        words: list[str | Path] = ["docker", "run", "--rm", "--network", "host", "--workdir", directory]
        words += ["--user", f"{os.getuid()}:{os.getgid()}", "--volume", f"{cache}:{cache}"]
        if images.MACHINE_CA.is_file():
            words += ["--volume", f"{images.MACHINE_CA}:{CA_IN_CONTAINER}:ro"]
            inside["SSL_CERT_FILE"] = CA_IN_CONTAINER
        for key, value in inside.items():
            words += ["--env", f"{key}={value}"]
        return [*words, "--entrypoint", "go", self._image, *arguments]

    def logged(self, log: Path, arguments: Sequence[str], directory: Path, env: Mapping[str, str]) -> None:
        """Run go, which may fetch modules, with its output into a log."""
        command = self.command(arguments, directory, env)
        shell.fetched(lambda: shell.logged(command, log, env=self._env(env), cwd=directory))

    def module(self, name: str, version: str, directory: Path) -> dict[str, str]:
        """Download a module: its `Dir` and `GoMod` paths (`go help mod download`)."""
        command = self.command(["mod", "download", "-json", f"{name}@{version}"], directory, {})
        found = json.loads(shell.fetched(lambda: shell.output(command, env=self._env({}), timeout=600)))
        return {key: value for key, value in found.items() if isinstance(value, str)}

    def _env(self, env: Mapping[str, str]) -> dict[str, str]:
        return dict(env) if self._image is None else self._docker_env


def machine_has_go() -> bool:
    """Whether the machine's own go is there and new enough."""
    return shutil.which("go") is not None and go_version(shell.text(["go", "version"])) >= versions.MINIMUM_GO


def toolchain(settings: Settings, docker: Docker | None, progress: Progress) -> Go:
    """The machine's own go if it is new enough, else one in a container: then `docker` is needed.

    Raises:
        LabError: it is not there.
    """
    if machine_has_go():
        return Go(settings)
    if docker is None:
        raise LabError(
            f"expected Go {'.'.join(map(str, versions.MINIMUM_GO))} or newer, or Docker to run it; found neither"
        )
    for directory in ("go", "go-build"):
        (settings.cache / directory).mkdir(parents=True, exist_ok=True)
    if images.from_upstream(settings, progress):
        images.pull(docker, progress, settings, versions.UPSTREAM_GOLANG)
        return Go(settings, versions.UPSTREAM_GOLANG, docker.env)
    base = images.debian(settings, docker, progress)
    source = settings.repo / "lab" / "go"
    images.build(settings, docker, progress, name="go", tag=GO_IMAGE, directory=source, arguments={"BASE": base})
    return Go(settings, GO_IMAGE, docker.env)


def go_version(said: str) -> tuple[int, int]:
    """Major and minor number of what `go version` says; (0, 0) where it says none."""
    found = re.search(r"\bgo(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def tool(settings: Settings, docker: Docker | None, progress: Progress, name: str) -> Path:
    """The finished program, built first where it isn't in the cache; also linked into the lab's bin directory."""
    wanted = TOOLS[name]
    target = settings.cache / "tools" / f"{name}-{wanted.version}" / name
    if not target.exists():
        go = toolchain(settings, docker, progress)
        with progress.step(name, f"building {name} {wanted.version} from its Go module"):
            _install(go, wanted, target, settings.logs / f"{name}.log")
    link(settings, name, target)
    return target


def _install(go: Go, wanted: Tool, target: Path, log: Path) -> None:
    partial = target.parent.with_name(target.parent.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    flags = " ".join(["-s", "-w", *(f"-X {variable}" for variable in wanted.variables)])
    env = {"GOBIN": str(partial), "CGO_ENABLED": "0"}
    go.logged(log, ["install", "-trimpath", "-ldflags", flags, f"{wanted.package}@{wanted.version}"], partial, env)
    shutil.rmtree(target.parent, ignore_errors=True)
    partial.rename(target.parent)


def link(settings: Settings, name: str, target: Path) -> None:
    """Point bin/NAME at a program."""
    settings.bin.mkdir(parents=True, exist_ok=True)
    entry = settings.bin / name
    if entry.is_symlink() and entry.readlink() == target:
        return
    entry.unlink(missing_ok=True)
    entry.symlink_to(target)


def kubernetes(settings: Settings, docker: Docker, progress: Progress) -> Path:
    """Directory of Kubernetes' and etcd's own programs, built first where no whole build is in the cache."""
    root = settings.cache / f"kube-{versions.KUBERNETES}"
    if (root / "complete").exists():
        return root / "bin"
    go = toolchain(settings, docker, progress)
    log = settings.logs / "kubernetes.log"
    with progress.step(
        "kubernetes", f"building Kubernetes {versions.KUBERNETES} and etcd {versions.ETCD} from their Go modules"
    ):
        (root / "bin").mkdir(parents=True, exist_ok=True)
        described = go.module("k8s.io/kubernetes", f"v{versions.KUBERNETES}", root)
        (root / "go.mod").write_text(go_mod(Path(described["GoMod"]).read_text()))
        (root / "tools.go").write_text(tools_go())
        go.logged(log, ["mod", "tidy"], root, {})
        for command in KUBERNETES_COMMANDS:
            package = f"k8s.io/kubernetes/cmd/{command}"
            go.logged(log, _build(root / "bin" / command, package, kubernetes_flags()), root, {"CGO_ENABLED": "0"})
        go.logged(log, _build(root / "bin" / "etcd", "go.etcd.io/etcd/server/v3", "-s -w"), root, {"CGO_ENABLED": "0"})
        (root / "complete").touch()
    return root / "bin"


def _build(target: Path, package: str, flags: str) -> list[str]:
    return ["build", "-trimpath", "-ldflags", flags, "-o", str(target), package]


def kubernetes_flags() -> str:
    """Linker flags that tell Kubernetes' programs their version, as its own build does."""
    version = "k8s.io/component-base/version"
    minor = versions.KUBERNETES.split(".")[1]
    variables = [
        f"{version}.gitVersion=v{versions.KUBERNETES}",
        f"{version}.gitMajor=1",
        f"{version}.gitMinor={minor}",
        f"{version}.gitTreeState=clean",
        f"k8s.io/client-go/pkg/version.gitVersion=v{versions.KUBERNETES}",
    ]
    return " ".join(["-s", "-w", *(f"-X {variable}" for variable in variables)])


def go_mod(kubernetes_go_mod: str) -> str:
    """A go.mod with Kubernetes as a dependency, with releases for the staging modules that it replaces by paths."""
    staging = sorted(
        set(re.findall(r"^\s*(?:replace )?(k8s\.io/[a-z0-9-]+) => \./staging", kubernetes_go_mod, re.MULTILINE))
    )
    if not staging:
        raise LabError(f"no staging modules in the go.mod of Kubernetes {versions.KUBERNETES}; its layout has changed")
    library = "v0." + versions.KUBERNETES.split(".", 1)[1]
    lines = ["module smbferry.io/lab/kubernetes", "", "go 1.24.0", "", "require ("]
    lines += [f"\tk8s.io/kubernetes v{versions.KUBERNETES}", f"\tgo.etcd.io/etcd/server/v3 v{versions.ETCD}", ")", ""]
    lines += [f"replace {module} => {module} {library}" for module in staging]
    return "\n".join(lines) + "\n"


def tools_go() -> str:
    """A Go file that imports every program, so that `go mod tidy` keeps what they need."""
    packages = ["go.etcd.io/etcd/server/v3", *(f"k8s.io/kubernetes/cmd/{command}" for command in KUBERNETES_COMMANDS)]
    imports = "\n".join(f'\t_ "{package}"' for package in packages)
    return f"//go:build tools\n\npackage tools\n\nimport (\n{imports}\n)\n"
