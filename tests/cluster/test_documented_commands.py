"""README from its first command for a cluster to a transfer that is done, and every other command of the docs on that.

The reader has a kubeconfig, the release, the domain's names for the docs' ones, and nothing else that is not written.
"""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from lab.support.cluster.kube import Kube, ended, is_
from lab.support.domain.trees import Wanted, differences
from tests.documented.commands import ROOT, Command, in_blocks
from tests.documented.places import Place, of
from tests.documented.run import Reader, put_datasync, with_names, with_smbferry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.cluster.kube import Object
    from lab.support.domain.domain import Domain, User
    from lab.support.domain.machine import Directory

pytestmark = pytest.mark.takes(150)

README = "README.md"
CLUSTER = of(Place.CLUSTER)
# How a reader gets from nothing to a run, in the page's order; the release is there already.
FIVE_MINUTES = (ROOT / README).read_text().partition("## Five minutes")[2]
JOURNEY = [c for c in in_blocks(README, FIVE_MINUTES) if c in CLUSTER and c.program != "helm"]
OTHERS = [c for c in CLUSTER if c not in JOURNEY]
INIT, IMPORT = (next(c for c in of(Place.UNIT) if f"smbferry {verb}" in c.text) for verb in ("init", "import"))
TASK = "nightly"


def name_of(command: Command) -> str:
    return f"{command.page}: {' '.join(command.text.split())[:70]}"


@pytest.fixture(scope="module")
def users(domain: Domain) -> Iterator[dict[str, User]]:
    """Those that the docs name."""
    with domain.user("src-readers") as source, domain.user("dst-writers") as destination:
        yield {"svc-src": source, "svc-dst": destination}


@pytest.fixture(scope="module")
def shares(domain: Domain) -> Iterator[dict[str, Directory]]:
    """Folders in the shares that the example names."""
    with domain.directory("src") as source, domain.directory("dst") as destination:
        source.seed([Wanted("a.txt", size=9), Wanted("b/c.bin", size=1 << 20)])
        yield {"src": source, "dst": destination}


@pytest.fixture(scope="module")
def kubeconfig(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reader's own: a command of the README writes into it."""
    return Path(shutil.copy(environment["KUBECONFIG"], tmp_path_factory.mktemp("kube") / "config"))


@pytest.fixture(scope="module")
def ferry(environment: dict[str, str], chart: None, kubeconfig: Path) -> Iterator[Kube]:
    """The docs' namespace, which a command of the README makes."""
    made = Kube({**environment, "KUBECONFIG": str(kubeconfig)}, f"ferry-{secrets.token_hex(4)}")
    yield made
    made.kubectl("delete", "namespace", made.namespace, "--wait=false", "--ignore-not-found")


@pytest.fixture(scope="module")
def reader(
    ferry: Kube, domain: Domain, users: dict[str, User], shares: dict[str, Directory],
    tmp_path_factory: pytest.TempPathFactory,
) -> Reader:  # fmt: skip
    """Somebody who has followed the README: keytabs, the example with names of one's own, and nothing applied yet."""
    folder = tmp_path_factory.mktemp("reader")
    names = {"ferry": ferry.namespace}
    for name, user in users.items():
        (folder / f"{name}.keytab").write_bytes(user.keytab())
        names[f"{name}@CORP.EXAMPLE.COM"] = user.principal
    (folder / "charts").symlink_to(ROOT / "charts")
    basic = folder / "examples" / "basic"
    basic.mkdir(parents=True)
    for page in sorted((ROOT / "examples" / "basic").glob("*.yaml")):
        objects = list(yaml.safe_load_all(with_names(page.read_text(), names)))
        for obj in objects:
            spec = obj.get("spec", {})
            if obj["kind"] in {"KerberosIdentity", "SmbLocation"}:
                spec["nameservers"] = [domain.address]
            if obj["kind"] == "SmbLocation":
                spec["path"] = shares[spec["share"]].path
        (basic / page.name).write_text(yaml.safe_dump_all(objects))
    config = yaml.safe_load((basic / "10-krb5.yaml").read_text())
    (folder / "krb5.conf").write_text(config["data"]["krb5.conf"])
    put_datasync(
        folder, source=f"{domain.server}/src/a", destination=f"{domain.server}/dst/b", principal="svc@CORP.EXAMPLE.COM"
    )
    environment = {**ferry.environment, "HOME": str(folder)}
    return Reader(folder, with_smbferry(folder, environment), names)


@pytest.fixture(scope="module")
def transfer(reader: Reader, ferry: Kube) -> Object:
    """The run that the README's commands lead to, typed in the page's order."""
    watch = next(i for i, c in enumerate(JOURNEY) if "--watch" in c.text)
    for command in JOURNEY[:watch]:
        reader.types(command)
    found = ferry.wait("transfertask", TASK, "running", lambda o: o.get("status", {}).get("activeRun"), timeout=60)
    for command in JOURNEY[watch:]:
        reader.types(command)
    return ferry.wait("transferrun", found["status"]["activeRun"], "over", ended, timeout=60)


@pytest.fixture(scope="module")
def later(reader: Reader, ferry: Kube, transfer: Object) -> Reader:
    """The same person afterwards, with the docs' names and placeholders for what there is by now."""
    ferry.wait("transfertask", TASK, "in sync", is_("InSync", "True"), timeout=30)
    run = transfer["metadata"]["name"]
    pods = ferry.list("pods", f"smbferry.io/run={run}")
    names = {
        **reader.names,
        **dict.fromkeys(("RUN", "nightly-7", "nightly-28451234"), run),
        **dict.fromkeys(("TASK", "finance"), TASK),
        **dict.fromkeys(("smbloc NAME", "smbloc reports"), "smbloc source"),
        "LOCATION": "source",
        "REPORTS": "destination",
        "IDENTITY": "svc-src",
        "JOB": transfer["status"]["jobRef"],
        "POD": pods[0]["metadata"]["name"],
        "configmap NAME": "configmap corp-krb5",
        "secret NAME": "secret svc-src-keytab",
    }
    prepared = Reader(reader.folder, reader.environment, names)
    for command in (INIT, IMPORT):
        prepared.types(command)
    return prepared


def test_from_the_readme_to_a_transfer_that_is_done(transfer: Object, shares: dict[str, Directory]) -> None:
    assert transfer["status"]["state"] == "Succeeded", transfer["status"]
    assert differences(shares["src"].tree(), shares["dst"].tree()) == []


@pytest.mark.parametrize("command", OTHERS, ids=name_of)
def test_a_command_of_the_docs_does_what_it_is_there_for(command: Command, later: Reader) -> None:
    later.types(command)
