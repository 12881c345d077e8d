"""What the lab's builds and the cluster are made from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lab.smblab import checks, cluster, domain, gobuild, images, node, status, versions
from lab.smblab.errors import LabError
from lab.smblab.settings import from_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.smblab.settings import Settings

UPSTREAM_GO_MOD = """\
module k8s.io/kubernetes

require k8s.io/klog/v2 v2.130.1

replace (
\tk8s.io/api => ./staging/src/k8s.io/api
\tk8s.io/client-go => ./staging/src/k8s.io/client-go
\tgithub.com/other => ../other
)
"""


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26)),
        ("go version go1.24rc1 linux/amd64", (1, 24)),
        ("go version devel linux/amd64", (0, 0)),
        ("", (0, 0)),
    ],
)
def test_gos_version_is_read(said: str, version: tuple[int, int]) -> None:
    assert gobuild.go_version(said) == version


def test_staging_modules_get_the_release_that_belongs_to_kubernetes() -> None:
    library = "v0." + versions.KUBERNETES.removeprefix("1.")
    written = gobuild.go_mod(UPSTREAM_GO_MOD).splitlines()
    assert [line for line in written if line.startswith("replace")] == [
        f"replace k8s.io/api => k8s.io/api {library}",
        f"replace k8s.io/client-go => k8s.io/client-go {library}",
    ]
    assert f"\tk8s.io/kubernetes v{versions.KUBERNETES}" in written
    assert f"\tgo.etcd.io/etcd/server/v3 v{versions.ETCD}" in written


def test_a_go_mod_of_another_layout_is_refused() -> None:
    with pytest.raises(LabError, match="its layout has changed"):
        gobuild.go_mod("module k8s.io/kubernetes\n")


def test_images_are_matched_to_their_programs() -> None:
    listed = ["registry.k8s.io/kube-proxy:v1", "registry.k8s.io/coredns/coredns:v1", "W1121 a warning", node.SANDBOX]
    assert node.program_of(listed) == {
        "registry.k8s.io/kube-proxy:v1": "kube-proxy",
        "registry.k8s.io/coredns/coredns:v1": "coredns",
        node.SANDBOX: "pause",
    }


def test_kind_brings_its_own_network_where_the_image_has_one() -> None:
    config = cluster.kind_config([], limit_oom_score=False)
    assert config["nodes"] == [{"role": "control-plane"}, {"role": "worker"}]
    assert "networking" not in config
    assert "containerdConfigPatches" not in config


def test_nodes_of_ours_get_a_bridge_each() -> None:
    config = cluster.kind_config([Path("/a"), Path("/b")], limit_oom_score=True)
    assert config["networking"] == {"disableDefaultCNI": True}
    nodes = config["nodes"]
    assert isinstance(nodes, list)
    assert [entry["extraMounts"][0]["hostPath"] for entry in nodes] == ["/a", "/b"]
    assert "restrict_oom_score_adj = true" in str(config["containerdConfigPatches"])


def test_a_nodes_bridge_gives_addresses_of_its_own_pods() -> None:
    plugins = cluster.bridge_conflist("10.244.1.0/24")["plugins"]
    assert isinstance(plugins, list)
    assert plugins[0]["ipam"]["ranges"] == [[{"subnet": "10.244.1.0/24"}]]


@pytest.mark.parametrize("change", ["content", "name", "mode", "argument"])
def test_an_images_inputs_are_content_names_modes_and_arguments(tmp_path: Path, change: str) -> None:
    source = tmp_path / "context"
    source.mkdir()
    (source / "entry").write_text("one")
    before = images.digest(source, {"BASE": "sha256:1"})
    assert images.digest(source, {"BASE": "sha256:1"}) == before
    match change:
        case "content":
            (source / "entry").write_text("two")
        case "name":
            (source / "entry").rename(source / "other")
        case "mode":
            (source / "entry").chmod(0o755)
    base = "sha256:2" if change == "argument" else "sha256:1"
    assert images.digest(source, {"BASE": base}) != before


def test_the_clients_krb5_conf_names_one_kdc_and_asks_no_dns() -> None:
    written = domain.krb5_conf("10.1.2.10")
    assert "kdc = 10.1.2.10" in written
    assert "dns_lookup_kdc = false" in written
    assert "udp_preference_limit = 1" in written


@pytest.mark.parametrize(("in_memory", "shares"), [(True, "--tmpfs /srv:"), (False, "--volume smbferry-srv:/srv")])
def test_the_benchs_shares_lie_in_memory_wherever_the_others_lie(*, in_memory: bool, shares: str) -> None:
    words = " ".join(domain.mounts(in_memory=in_memory))
    assert shares in words
    assert "--tmpfs /srv/benchsrc:" in words
    assert "--tmpfs /srv/benchdst:" in words


class Told:
    """A Docker that knows one container."""

    def __init__(self, tmpfs: str | None) -> None:
        self._tmpfs = tmpfs

    def inspect(self, *_arguments: str) -> str | None:
        return self._tmpfs


@pytest.mark.parametrize(
    ("tmpfs", "expected"),
    [
        ('{"/srv":"rw","/srv/benchsrc":"rw"}', True),
        ('{"/srv/benchsrc":"rw","/srv/benchdst":"rw"}', False),
        ("null", False),
        (None, False),
    ],
)
def test_only_a_tmpfs_at_their_own_place_holds_the_shares(tmpfs: str | None, *, expected: bool) -> None:
    assert domain.on_tmpfs(Told(tmpfs)) is expected  # type: ignore[arg-type]  # all that it is asked for


def test_a_secret_is_private_from_its_first_byte_and_replaces_the_old(tmp_path: Path) -> None:
    path = tmp_path / "keytabs" / "svc.keytab"
    for content in (b"one", b"two"):
        domain.write_private(path, content)
        assert path.read_bytes() == content
        assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["svc.keytab"]


def test_the_status_says_of_each_part_whether_it_is_up() -> None:
    parts = [status.Part("docker", up=True, detail="here"), status.Part("domain", up=False, detail="no container")]
    assert status.render(parts).splitlines() == ["docker   up    here", "domain   down  no container"]


@pytest.mark.parametrize("wanted", [checks.openapi, checks.monitoring, checks.checkov_python])
def test_what_checks_the_chart_says_how_it_is_built(tmp_path: Path, wanted: Callable[[Settings], Path]) -> None:
    lab = from_environment({"SMBFERRY_CACHE": str(tmp_path)}, Path(__file__).parents[3])
    with pytest.raises(LabError, match="has not been built: run `lab/lab checks`"):
        wanted(lab)
