"""The commands for tasks, runs, identities and locations on real ones: what they do, how they end, who may."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml
from lab.support.cluster import objects
from lab.support.cluster.kube import Object, is_, under_way
from lab.support.cluster.scene import DESTINATION, READER, SOURCE, Scene
from lab.support.domain.trees import Wanted, differences
from tests.documented.commands import ROOT
from tests.documented.run import with_smbferry

from smbferry_cli.exits import code_of_reason

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.takes(90)

FERRY = "ferry"
OTHERS_MAY_NOT = 10


@pytest.fixture(scope="module")
def environment_with_plugin(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where kubectl finds the plugin."""
    return with_smbferry(tmp_path_factory.mktemp("plugin"), scene.kube.environment)


@pytest.fixture(scope="module")
def ferry(scene: Scene, environment_with_plugin: dict[str, str]) -> Scene:
    """A task that starts nothing by itself, between two locations that are ready."""
    scene.source.seed([Wanted("large.bin", size=8 << 20), Wanted("small.txt", size=9)])
    scene.ready()
    scene.kube.apply(objects.task(FERRY, SOURCE, DESTINATION, suspend=True))
    scene.kube.wait("transfertask", FERRY, "suspended", is_("Ready", "True", "Suspended"), timeout=30)
    return scene


def typed(scene: Scene, environment: dict[str, str], words: str, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["kubectl", "smbferry", *words.split(), "-n", scene.kube.namespace, *more],
        env=environment, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip


def name_in(printed: str) -> str:
    """The name of the run that was created."""
    (name,) = re.findall(r"^transferrun\.smbferry\.io/(\S+)", printed, re.MULTILINE)
    return str(name)


def managers(obj: Object) -> dict[str, Object]:
    """What each field manager owns."""
    return {entry["manager"]: entry["fieldsV1"] for entry in obj["metadata"]["managedFields"]}


def test_a_suspended_task_is_triggered_and_the_run_followed_to_its_end(
    ferry: Scene, environment_with_plugin: dict[str, str]
) -> None:
    done = typed(ferry, environment_with_plugin, f"trigger {FERRY} --wait --timeout 2m")
    assert done.returncode == 0, done.stderr
    assert "Succeeded" in done.stdout
    assert ferry.reader.principal in done.stdout, "the proof of encryption is shown"
    assert differences(ferry.source.tree(), ferry.destination.tree()) == []
    task = ferry.kube.get("transfertask", FERRY)
    assert task is not None
    assert "smbferry-cli" not in managers(task), "the task stays as it was applied"


def test_a_dry_run_that_is_triggered_writes_nothing_and_is_given_as_json(
    ferry: Scene, environment_with_plugin: dict[str, str]
) -> None:
    ferry.source.seed([Wanted("later.txt", size=3)])
    done = typed(ferry, environment_with_plugin, f"trigger {FERRY} --dry-run --priority 5 --wait -o json")
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert (run["spec"]["dryRun"], run["spec"]["priority"], run["status"]["state"]) == (True, 5, "Succeeded")
    assert "later.txt" not in ferry.destination.tree()


def test_a_run_with_failures_ends_with_their_exit_code(ferry: Scene, environment_with_plugin: dict[str, str]) -> None:
    ferry.source.seed([Wanted("closed.txt", size=9)])
    ferry.domain.run("chmod", "0600", f"{ferry.source.inside}/closed.txt")
    done = typed(ferry, environment_with_plugin, f"trigger {FERRY} --wait")
    ferry.domain.run("chmod", "0666", f"{ferry.source.inside}/closed.txt")
    assert done.returncode == 3, done.stderr
    assert "AccessDenied" in done.stderr


def test_a_run_is_cancelled_and_its_log_followed_to_the_end(
    ferry: Scene, environment_with_plugin: dict[str, str]
) -> None:
    ferry.source.seed([Wanted("slow.bin", size=8 << 20)])
    ferry.kube.patch("transfertask", FERRY, {"spec": {"options": {"bytesPerSecond": "256Ki"}}})
    made = typed(ferry, environment_with_plugin, f"trigger {FERRY} -o name")
    run = name_in(made.stdout)
    log = subprocess.Popen(
        ["kubectl", "smbferry", "logs", run, "--follow", "-n", ferry.kube.namespace],
        env=environment_with_plugin, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with log:
        ferry.kube.wait("transferrun", run, "under way", under_way, timeout=60)
        done = typed(ferry, environment_with_plugin, f"cancel --task {FERRY} --wait --timeout 1m")
        said, _ = log.communicate(timeout=60)
    ferry.kube.patch("transfertask", FERRY, {"spec": {"options": {"bytesPerSecond": None}}})
    assert done.returncode == 0, done.stderr
    assert f"transferrun.smbferry.io/{run} has ended: Cancelled" in done.stdout
    assert log.returncode == 0
    assert [json.loads(line) for line in said.splitlines()], "the agents' lines are JSON"
    again = typed(ferry, environment_with_plugin, f"cancel {run}")
    assert (again.returncode, "has already ended: Cancelled" in again.stdout) == (0, True), again.stderr


def test_logs_of_a_task_and_of_checks_are_found(ferry: Scene, environment_with_plugin: dict[str, str]) -> None:
    checked = typed(ferry, environment_with_plugin, f"recheck identity/{READER} location/{SOURCE} --wait")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for what in (f"task/{FERRY}", f"identity/{READER}", f"smbloc/{SOURCE}"):
        done = typed(ferry, environment_with_plugin, f"logs {what} --tail 3")
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_suspending_changes_one_field_and_kubectl_shows_it(
    ferry: Scene, environment_with_plugin: dict[str, str]
) -> None:
    for verb, said, shown in (("resume", "resumed", "false"), ("suspend", "suspended", "true")):
        done = typed(ferry, environment_with_plugin, f"{verb} {FERRY}")
        assert done.stdout == f"transfertask.smbferry.io/{FERRY} {said}\n", done.stderr
        ours, theirs = (
            [line.split() for line in text.splitlines()]
            for text in (
                typed(ferry, environment_with_plugin, "get tasks").stdout,
                ferry.kube.kubectl("get", "xfer"),
            )
        )
        assert ours[0] == theirs[0], "the same columns"
        assert {"REASON", "SCHEDULE", "SUSPENDED", "NEXT"} <= set(ours[0])
        assert "LAST SUCCESS" in ferry.kube.kubectl("get", "xfer")
        assert shown in ours[1]
    task = ferry.kube.get("transfertask", FERRY)
    assert task is not None
    assert managers(task)["smbferry-cli"] == {"f:spec": {"f:suspend": {}}}


def test_a_check_on_request_tells_what_it_found(ferry: Scene, environment_with_plugin: dict[str, str]) -> None:
    ferry.kube.delete("secret", f"{READER}-keytab")
    try:
        done = typed(ferry, environment_with_plugin, f"recheck location/{SOURCE} identity/{READER} --wait")
    finally:
        ferry.kube.apply(ferry.keytab(READER, ferry.reader))
    assert done.returncode == code_of_reason("SecretNotFound"), done.stdout + done.stderr
    assert f"kerberosidentity.smbferry.io/{READER} is not Ready: SecretNotFound" in done.stdout
    assert f"smblocation.smbferry.io/{SOURCE} is not Ready: " in done.stdout
    mended = typed(ferry, environment_with_plugin, "recheck --all --wait")
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert mended.stdout.count(" is Ready: ChecksPassed") == 4


@pytest.fixture(scope="module")
def starter(ferry: Scene, environment_with_plugin: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kubeconfig of somebody with the Role that the docs show for those who may only start runs."""
    page = (ROOT / "docs" / "how-to" / "operate.md").read_text()
    role = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    ferry.kube.apply(role)
    ferry.kube.kubectl("create", "serviceaccount", "starter")
    who = f"--serviceaccount={ferry.kube.namespace}:starter"
    ferry.kube.kubectl("create", "rolebinding", "starter", f"--role={role['metadata']['name']}", who)
    config = tmp_path_factory.mktemp("starter") / "config"
    config.write_text(ferry.kube.kubectl("config", "view", "--raw", "--minify"))
    changed = {**environment_with_plugin, "KUBECONFIG": str(config)}
    token = ferry.kube.kubectl("create", "token", "starter").strip()
    for words in (
        ["set-credentials", "starter", f"--token={token}"],
        ["set-context", "--current", "--user=starter"],
    ):
        subprocess.run(["kubectl", "config", *words], env=changed, check=True, capture_output=True)
    return config


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (f"trigger {FERRY} --wait", "Succeeded"),
        (f"watch {FERRY}", "Succeeded"),
        ("get runs", FERRY),
        (f"suspend {FERRY}", "your role needs the verb patch on transfertasks.smbferry.io"),
        (f"recheck identity/{READER}", "your role needs the verb patch on kerberosidentities.smbferry.io"),
        (f"logs task/{FERRY}", "your role needs the verb list on pods"),
    ],
)
def test_who_may_only_start_runs_is_told_what_else_is_needed(
    words: str, said: str, starter: Path, ferry: Scene, environment_with_plugin: dict[str, str]
) -> None:
    done = typed(ferry, {**environment_with_plugin, "KUBECONFIG": str(starter)}, words)
    assert said in done.stdout + done.stderr
    assert done.returncode == (OTHERS_MAY_NOT if "your role" in said else 0), done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("trigger fery", f'TransferTask "fery" not found in namespace "{{}}"; did you mean "{FERRY}"?'),
        ("get tsks", 'did you mean "tasks"'),
        ("recheck reader", "expected identity/NAME or location/NAME"),
        (f"trigger {FERRY} --ttl soon", "expected a duration"),
    ],
)
def test_what_can_not_be_done_is_said(
    words: str, said: str, ferry: Scene, environment_with_plugin: dict[str, str]
) -> None:
    done = typed(ferry, environment_with_plugin, words)
    assert done.returncode in {2, OTHERS_MAY_NOT}
    assert said.format(ferry.kube.namespace) in done.stderr


def test_kubectl_completes_names(ferry: Scene, environment_with_plugin: dict[str, str]) -> None:
    words = ["kubectl", "__complete", "smbferry", "trigger", "-n", ferry.kube.namespace, ""]
    done = subprocess.run(words, env=environment_with_plugin, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [FERRY, ":4"]
