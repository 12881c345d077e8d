"""Locations that name a DFS path: what a check finds behind it, and a run that writes only where it was let in."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from smbferry_agent.errors import AgentError
from smbferry_agent.run import run_transfer
from smbferry_agent.run_environment import Identities, RunEnvironment
from smbferry_api.agent_contract import Side
from smbferry_api.exit_codes import ExitCode
from smbferry_api.location import DfsTarget
from smbferry_engine import Control
from smbferry_words.options import SecurityDescriptors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.domain.domain import Domain
    from tests.interop.agent.scene import Scene
    from tests.interop.agent.support import Identity

    from smbferry_api.run import ResolvedTask


@pytest.fixture
def folder(domain: Domain) -> Iterator[str]:
    """A folder of the namespace of the test's own."""
    name = f"t-{secrets.token_hex(4)}"
    domain.run("mkdir", "--mode=0777", f"/srv/dfs/{name}")
    try:
        yield name
    finally:
        domain.run("rm", "-rf", "--", f"/srv/dfs/{name}")


def link(domain: Domain, folder: str, target: str) -> str:
    domain.run("ln", "-sfn", f"msdfs:{target}", f"/srv/dfs/{folder}/link")
    return f"/{folder}/link"


def test_a_check_follows_the_link_and_says_where_it_leads(identity: Identity, domain: Domain, folder: str) -> None:
    path = link(domain, folder, rf"{domain.server}\src")
    checked = identity.check_location(share="dfs", path=path)
    assert checked.failure is None
    assert checked.status["dfsTarget"] == {"server": domain.server, "port": 445, "share": "src", "path": "/"}
    assert rf"a DFS path to \\{domain.server}\src" in checked.message("ShareAccessible")
    assert checked.status["server"]["encryptionRequiredByShare"] is True


def test_a_link_to_an_address_is_named_with_what_to_do(identity: Identity, domain: Domain, folder: str) -> None:
    checked = identity.check_location(share="dfs", path=link(domain, folder, rf"{domain.address}\src"))
    assert checked.reason("ShareAccessible") == "DfsTargetUnusable"
    assert domain.address in checked.message("ShareAccessible")
    assert checked.failure is not None
    assert checked.failure.exit_code is ExitCode.CONFIGURATION


def test_a_link_to_a_server_that_dns_does_not_know(identity: Identity, domain: Domain, folder: str) -> None:
    gone = f"gone.{domain.realm.lower()}"
    checked = identity.check_location(share="dfs", path=link(domain, folder, rf"{gone}\src"))
    assert checked.reason("ServerReachable") == "ServerUnreachable"
    assert gone in checked.message("ServerReachable")


def through_dfs(scene: Scene, path: str, *, below: str = "", found: DfsTarget | None) -> ResolvedTask:
    """The scene's task with a destination that is named by its DFS path, and where the location's check found it."""
    task = scene.task()
    end = task.destination
    spec = end.spec.model_copy(update={"share": "dfs", "path": path})
    destination = end.model_copy(update={"spec": spec, "path": f"{below}{end.path}", "dfs_target": found})
    return task.model_copy(update={"destination": destination})


def run(scene: Scene, task: ResolvedTask) -> ExitCode:
    mounts = {side: identity.subject().mount for side, identity in scene.identities.items()}
    identities = Identities(mounts, scratch=scene.folder / "tickets")
    environment = RunEnvironment(identities, Control(), claimed=True)
    return run_transfer(task, environment, scene.report, dry_run=False)


def test_a_run_writes_behind_the_link_and_names_the_server_there(scene: Scene, domain: Domain, folder: str) -> None:
    path = link(domain, folder, rf"{domain.server}\dst")
    task = through_dfs(scene, path, found=DfsTarget(server=domain.server, share="dst"))
    assert run(scene, task) is ExitCode.DONE
    assert sorted(scene.destination.tree()) == sorted(scene.source.tree())
    assert scene.status()["security"]["destination"]["server"] == domain.server
    assert scene.status()["serverSideCopy"]["state"] == "NotPossible"


@pytest.mark.parametrize("found", [None, DfsTarget(server="other.corp.example.com", share="dst")])
def test_a_destination_that_leads_elsewhere_than_its_check_found_is_not_written(
    scene: Scene, domain: Domain, folder: str, found: DfsTarget | None
) -> None:
    path = link(domain, folder, rf"{domain.server}\dst")
    with pytest.raises(AgentError) as raised:
        run(scene, through_dfs(scene, path, found=found))
    assert raised.value.reason.name == "DfsTargetChanged"
    assert raised.value.exit_code is ExitCode.GUARD
    assert scene.destination.tree() == {}


def test_a_link_below_the_locations_path_needs_a_location_of_its_own(scene: Scene, domain: Domain, folder: str) -> None:
    link(domain, folder, rf"{domain.server}\dst")
    with pytest.raises(AgentError) as raised:
        run(scene, through_dfs(scene, f"/{folder}", below="/link", found=None))
    assert raised.value.reason.name == "DfsTargetChanged"
    assert scene.destination.tree() == {}


def test_one_identity_on_one_server_lets_the_server_copy(scene: Scene, domain: Domain) -> None:
    reader = scene.identities[Side.SOURCE].principal.partition("@")[0]
    domain.samba_tool("group", "addmembers", "dst-writers", reader)
    scene.identities[Side.DESTINATION] = scene.identities[Side.SOURCE]
    task = scene.task()
    options = task.options.model_copy(update={"security_descriptors": SecurityDescriptors.NONE})
    assert run(scene, task.model_copy(update={"options": options})) is ExitCode.DONE
    status = scene.status()
    assert status["serverSideCopy"]["state"] == "Ready"
    assert status["counters"]["bytes"]["serverSide"] > 0
