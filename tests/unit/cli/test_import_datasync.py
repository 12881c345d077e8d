"""`smbferry import datasync`: what AWS prints becomes manifests, and what has no equal is said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from smbferry_api.exit_codes import ExitCode
from smbferry_cli.datasync import DataSyncError, convert
from smbferry_cli.datasync_schedule import ScheduleError, cron_of
from smbferry_cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "arn:aws:datasync:eu-central-1:111122223333:location/loc-00000000000000001"
DESTINATION = "arn:aws:datasync:eu-central-1:111122223333:location/loc-00000000000000002"


def location(
    arn: str = SOURCE, uri: str = "smb://files1.corp.example.com/finance/2026/", **more: Any
) -> dict[str, Any]:
    return {
        "LocationArn": arn,
        "LocationUri": uri,
        "AgentArns": ["arn:aws:datasync:eu-central-1:111122223333:agent/agent-00000000000000001"],
        "AuthenticationType": "KERBEROS",
        "KerberosPrincipal": "svc-sync@CORP.EXAMPLE.COM",
        "DnsIpAddresses": ["10.0.0.10"],
        "MountOptions": {"Version": "AUTOMATIC"},
        **more,
    }


def task(**more: Any) -> dict[str, Any]:
    return {
        "TaskArn": "arn:aws:datasync:eu-central-1:111122223333:task/task-00000000000000001",
        "Name": "Finance nightly",
        "SourceLocationArn": SOURCE,
        "DestinationLocationArn": DESTINATION,
        "Status": "AVAILABLE",
        **more,
    }


BOTH = (location(), location(DESTINATION, "smb://files2.corp.example.com/finance/"))


def spec_of(task_document: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    imported = convert([*BOTH, task_document])
    (found,) = [m for m in imported.manifests if m["kind"] == "TransferTask"]
    return found["spec"], imported.remarks


def test_a_whole_task_can_be_applied_as_it_is() -> None:
    imported = convert([task(Schedule={"ScheduleExpression": "cron(0 2 ? * MON-FRI *)"}), *BOTH])
    assert imported.must == []
    assert [m["kind"] for m in imported.manifests] == [
        "ConfigMap", "KerberosIdentity", "SmbLocation", "SmbLocation", "TransferTask",
    ]  # fmt: skip
    _, identity, source, destination, nightly = imported.manifests
    assert identity["spec"] == {
        "principal": "svc-sync@CORP.EXAMPLE.COM",
        "keytabSecretRef": {"name": "svc-sync-keytab"},
        "krb5ConfigMapRef": {"name": "corp-example-com-krb5"},
        "nameservers": ["10.0.0.10"],
    }
    assert (source["metadata"]["name"], source["spec"]["path"]) == ("files1-finance-2026", "/2026")
    assert "path" not in destination["spec"]
    assert nightly["metadata"]["name"] == "finance-nightly"
    assert nightly["spec"]["schedule"] == {"cron": "0 2 * * MON-FRI"}
    assert any("create secret generic svc-sync-keytab" in note for note in imported.notes)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"VerifyMode": "POINT_IN_TIME_CONSISTENT"}, {"verifyMode": "PointInTimeConsistent"}),
        ({"OverwriteMode": "NEVER", "TransferMode": "ALL"}, {"overwriteMode": "Never", "transferMode": "All"}),
        ({"PreserveDeletedFiles": "REMOVE"}, {"deletedFiles": "Remove"}),
        ({"Mtime": "NONE", "Atime": "NONE"}, {"timestamps": "None"}),
        ({"SecurityDescriptorCopyFlags": "OWNER_DACL_SACL"}, {"securityDescriptors": "OwnerDaclSacl"}),
        ({"BytesPerSecond": 1048576}, {"bytesPerSecond": 1048576}),
        ({"BytesPerSecond": -1, "Uid": "NONE", "Gid": "NONE", "PosixPermissions": "NONE"}, None),
    ],
)
def test_options_keep_their_meaning(theirs: dict[str, Any], ours: dict[str, Any] | None) -> None:
    spec, remarks = spec_of(task(Options=theirs))
    assert spec.get("options") == ours
    assert not [r for r in remarks if r.startswith("must")]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"Options": {"TaskQueueing": "DISABLED"}}, {"concurrency": "Skip"}),
        ({"Options": {"LogLevel": "TRANSFER"}}, {"report": {"detail": "Everything"}}),
        ({"TaskReportConfig": {"ReportLevel": "SUCCESSES_AND_ERRORS"}}, {"report": {"detail": "Everything"}}),
        ({"Schedule": {"ScheduleExpression": "rate(12 hours)"}}, {"schedule": {"cron": "0 */12 * * *"}}),
        ({"Schedule": {"ScheduleExpression": "rate(1 day)", "Status": "DISABLED"}}, {"suspend": True}),
        ({}, {"suspend": True}),
        (
            {"Excludes": [{"FilterType": "SIMPLE_PATTERN", "Value": "*.tmp|*/~$*|/a\\|b"}]},
            {"filters": {"exclude": ["*.tmp", "*/~$*", "/a\\|b"]}},
        ),
        ({"Includes": [{"Value": "/projects|/legal*"}]}, {"filters": {"include": ["/projects", "/legal*"]}}),
    ],
)
def test_the_rest_of_a_task(more: dict[str, Any], expected: dict[str, Any]) -> None:
    spec, _ = spec_of(task(**more))
    assert {key: spec.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ([location(AuthenticationType="NTLM", KerberosPrincipal="", User="sync", Domain="CORP")], "with NTLM as sync"),
        ([location(KerberosPrincipal="svc")], "guessed principal svc@CORP.EXAMPLE.COM"),
        ([location(uri="smb://10.0.0.5/finance/")], "expected a DNS name, got an IP address"),
        ([location(MountOptions={"Version": "SMB2"})], "DataSync used SMB2"),
        ([*BOTH, task(SourceLocationArn="arn:aws:datasync:x:1:location/loc-s3")], "is not in the files"),
        ([*BOTH, task(Options={"VerifyMode": "MAYBE"})], "got MAYBE"),
        (
            [*BOTH, task(Options={"TransferMode": "ALL", "PreserveDeletedFiles": "REMOVE"})],
            "cannot combine deletedFiles: Remove",
        ),
        (
            [*BOTH, task(Schedule={"ScheduleExpression": "cron(0 2 L * ? *)"})],
            "has no equivalent in cron's five fields",
        ),
        ([*BOTH, task(Includes=[{"Value": "/a*/b"}])], "'*' only at the end"),
        ([*BOTH, task(ManifestConfig={"Format": "CSV"})], "ManifestConfig"),
    ],
)
def test_what_must_be_mended_is_said(documents: list[dict[str, Any]], said: str) -> None:
    assert any(said in text for text in convert(documents).must)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"PreserveDeletedFiles": "REMOVE"}, "at most 10%"),
        ({"Mtime": "PRESERVE", "Atime": "NONE"}, "Atime NONE has no equivalent"),
        ({"PosixPermissions": "BEST_EFFORT"}, "PosixPermissions BEST_EFFORT does not apply to SMB"),
        ({"Novelty": "X"}, "Novelty X"),
    ],
)
def test_nothing_is_dropped_without_a_word(options: dict[str, Any], said: str) -> None:
    assert any(said in text for text in convert([*BOTH, task(Options=options)]).notes)


def test_what_is_not_from_datasync_is_refused() -> None:
    with pytest.raises(
        DataSyncError, match=r"expected the output of `aws datasync describe-task`.* got an object with Buckets"
    ):
        convert([{"Buckets": []}])


@pytest.mark.parametrize(
    ("expression", "cron"),
    [
        ("cron(15 10 ? * 2-6 *)", "15 10 * * 1-5"),
        ("cron(0 18 1 * ? *)", "0 18 1 * *"),
        ("cron(0/15 * * * ? *)", "0/15 * * * *"),
        ("cron(0 8 ? * 1,7 *)", "0 8 * * 0,6"),
        ("rate(1 hour)", "0 * * * *"),
        ("rate(24 hours)", "0 0 * * *"),
        ("rate(120 minutes)", "0 */2 * * *"),
    ],
)
def test_schedules(expression: str, cron: str) -> None:
    assert cron_of(expression)[0] == cron


@pytest.mark.parametrize(
    "expression", ["rate(7 hours)", "rate(3 days)", "rate(0 hours)", "at(2026-01-01)", "cron(0 2)"]
)
def test_schedules_without_an_equal(expression: str) -> None:
    with pytest.raises(ScheduleError):
        cron_of(expression)


def test_the_command_prints_manifests_and_remarks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "all.json").write_text(json.dumps([*BOTH, task(Schedule={"ScheduleExpression": "rate(1 day)"})]))
    assert main(["import", "datasync", str(tmp_path / "all.json")]) == ExitCode.DONE
    captured = capsys.readouterr()
    assert [d["kind"] for d in yaml.safe_load_all(captured.out)][-1] == "TransferTask"
    assert captured.out.startswith("# note: ")
    assert "note: " in captured.err


@pytest.mark.parametrize(
    ("content", "said"), [("{", "not JSON"), ("[1]", "a JSON object"), ('{"a": 1}', "got an object")]
)
def test_files_that_can_not_be_read(
    content: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.json").write_text(content)
    assert main(["import", "datasync", str(tmp_path / "x.json")]) == ExitCode.CONFIGURATION
    assert said in capsys.readouterr().err
