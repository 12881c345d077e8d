"""What a manifest may hold is refused or taken alike with and without a cluster."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from smbferry_api.explain import explain
from smbferry_api.fields import IpAddress, SharePath, format_time, parse_duration, parse_quantity
from smbferry_api.identity import KerberosIdentitySpec
from smbferry_api.location import SmbLocationSpec
from smbferry_api.politeness import Politeness
from smbferry_api.task import TransferTaskSpec, wanted_snapshot
from smbferry_api.task_options import Filters, RetryLocked
from smbferry_words.options import SnapshotUse

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Held(BaseModel):
    path: SharePath = "/"
    address: IpAddress = "10.0.0.1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", timedelta(seconds=90)), ("1h30m", timedelta(minutes=90)), ("250ms", timedelta(milliseconds=250))],
)
def test_durations_are_read_as_kubernetes_writes_them(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "1d", "5m ", "1.5h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("value", "expected"), [("50Mi", 50 << 20), ("1G", 10**9), (1024, 1024), ("1.5Ki", 1536), ("7", 7)]
)
def test_quantities_are_bytes(value: str | int, expected: int) -> None:
    assert parse_quantity(value) == expected


@pytest.mark.parametrize("value", ["", "Mi", "-1", "1 Mi", "1mb", "0", "0.1"])
def test_what_is_no_quantity_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"quantity|one byte"):
        parse_quantity(value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"minSize": "1 Mi"}, "expected a byte quantity"),
        ({"maxSize": 0}, "expected at least one byte"),
        ({"minSize": "1Mi", "maxSize": "1000k"}, "expected minSize to be at most maxSize, got '1Mi' and '1000k'"),
        ({"minAge": "1d"}, "expected a duration"),
        ({"maxAge": "0s"}, "expected 1s to 876000h"),
        ({"minAge": "25h", "maxAge": "24h60s"}, "expected minAge to be at most maxAge, got '25h' and '24h60s'"),
        ({"excludeAttributes": ["Secret"]}, "ReadOnly"),
    ],
)
def test_a_filter_that_selects_nothing_or_means_nothing_is_refused_in_words(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Filters.model_validate(fields)
    assert message in str(caught.value)


def test_filters_at_their_limits_are_taken() -> None:
    taken = Filters.model_validate(
        {"minSize": "1Ki", "maxSize": 1024, "minAge": "60m", "maxAge": "1h", "excludeAttributes": ["Hidden", "Offline"]}
    )
    assert (taken.min_size, taken.max_age) == ("1Ki", "1h")


@pytest.mark.parametrize(
    "fields", [{"attempts": -1}, {"attempts": 11}, {"interval": "0s"}, {"interval": "61m"}, {"interval": "soon"}]
)
def test_retries_without_end_or_sense_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RetryLocked.model_validate(fields)


@pytest.mark.parametrize("factor", ["1.001", "1.2", "2", 2, "10", "10.000", 10])
def test_a_factor_above_one_is_taken_as_written(factor: str | int) -> None:
    assert Politeness.model_validate({"latencyFactor": factor}).latency_factor == factor


@pytest.mark.fault(202)
@pytest.mark.parametrize(
    ("factor", "got"),
    [
        ("1", "got '1'"), (1, "got 1"), ("1.000", "got '1.000'"), ("0.5", "got '0.5'"), (0, "got 0"), (-2, "got -2"),
        ("10.001", "got '10.001'"), (11, "got 11"), ("1.2x", "got '1.2x'"), ("", "got ''"), ("nan", "got 'nan'"),
        ("1e1", "got '1e1'"), (1.2, "got the number 1.2 without quotes"), (float("nan"), "got the number nan"),
    ],
)  # fmt: skip
def test_a_factor_that_would_stop_a_run_or_means_nothing_is_refused_in_words(factor: object, got: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Politeness.model_validate({"latencyFactor": factor})
    assert 'expected a factor above 1 and at most 10, in quotes, such as "1.2"' in str(caught.value)
    assert got in str(caught.value)


def test_politeness_without_a_factor_is_refused() -> None:
    with pytest.raises(ValidationError, match="latencyFactor"):
        Politeness.model_validate({})


@pytest.mark.parametrize("path", ["/", "/a", "/a/b c/ü", "/a/", "/$recycle", "/...x"])
def test_paths_inside_a_share_are_taken(path: str) -> None:
    assert Held(path=path).path == path


@pytest.mark.parametrize(
    "path", ["", "a", "//a", "/a//b", "/../x", "/a/..", "/.", "/a\\b", "/a:b", "/a*", "/a\n", "/\x00"]
)
def test_paths_that_could_leave_the_folder_or_no_share_can_hold_are_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        Held(path=path)


@given(st.text(max_size=40))
def test_a_path_that_is_taken_never_climbs(text: str) -> None:
    try:
        path = Held(path=text).path
    except ValidationError:
        return
    assert path.startswith("/")
    assert ".." not in path.split("/")
    assert not set(path) & set('\\:*?"<>|\x00')


@pytest.mark.parametrize("address", ["10.0.0.10", "255.1.2.3", "fd00::1", "::1"])
def test_nameservers_are_addresses(address: str) -> None:
    assert Held(address=address).address == address


@pytest.mark.parametrize("address", ["dns.example.com", "256.1.1.1", "1.2.3", ""])
def test_a_name_as_nameserver_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        Held(address=address)


def test_times_are_written_as_kubernetes_does() -> None:
    moment = datetime(2026, 3, 1, 13, 0, 0, 999999, tzinfo=timezone(timedelta(hours=1)))
    assert format_time(moment) == "2026-03-01T12:00:00Z"
    assert format_time(datetime(2026, 3, 1, tzinfo=UTC)) == "2026-03-01T00:00:00Z"


LOCATION: dict[str, Any] = {"server": "files.corp.example.com", "share": "finance", "identityRef": {"name": "svc"}}
IDENTITY: dict[str, Any] = {
    "principal": "svc@CORP.EXAMPLE.COM",
    "keytabSecretRef": {"name": "k"},
    "krb5ConfigMapRef": {"name": "c"},
}
TASK: dict[str, Any] = {"source": {"locationRef": {"name": "a"}}, "destination": {"locationRef": {"name": "b"}}}


def test_defaults_are_the_documented_ones() -> None:
    location = SmbLocationSpec.model_validate(LOCATION)
    assert location.target == "cifs/files.corp.example.com"
    assert [str(c) for c in location.ciphers] == ["AES-256-GCM", "AES-128-GCM"]
    task = TransferTaskSpec.model_validate(TASK)
    assert (str(task.options.transfer_mode), str(task.options.verify_mode)) == ("Changed", "OnlyFilesTransferred")


@pytest.mark.parametrize(
    ("model", "base", "change"),
    [
        (SmbLocationSpec, LOCATION, {"server": "10.0.0.1"}),
        (SmbLocationSpec, LOCATION, {"server": "fd00::1"}),
        (SmbLocationSpec, LOCATION, {"server": "a b"}),
        (SmbLocationSpec, LOCATION, {"share": "x\\..\\C$"}),
        (SmbLocationSpec, LOCATION, {"share": "x\n"}),
        (SmbLocationSpec, LOCATION, {"ciphers": []}),
        (SmbLocationSpec, LOCATION, {"ciphers": ["AES-128-CBC"]}),
        (SmbLocationSpec, LOCATION, {"dialects": ["2.1"]}),
        (SmbLocationSpec, LOCATION, {"identityRef": {"name": "svc", "namespace": "other"}}),
        (KerberosIdentitySpec, IDENTITY, {"principal": "svc"}),
        (KerberosIdentitySpec, IDENTITY, {"permittedEnctypes": ["arcfour-hmac"]}),
        (KerberosIdentitySpec, IDENTITY, {"checkInterval": "1s"}),
        (TransferTaskSpec, TASK, {"destination": {"locationRef": {"name": "a"}}}),
        (TransferTaskSpec, TASK, {"options": {"deletedFiles": "Remove", "transferMode": "All"}}),
        (TransferTaskSpec, TASK, {"options": {"maxDeletes": "120%"}}),
        (TransferTaskSpec, TASK, {"filters": {"include": ["/a*b"]}}),
        (TransferTaskSpec, TASK, {"schedule": {"cron": "0 2 * *"}}),
        (TransferTaskSpec, TASK, {"optoins": {}}),
        (TransferTaskSpec, TASK, {"source": {"locationRef": {"name": "b"}, "snapshot": "Latest"}}),
        (TransferTaskSpec, TASK, {"destination": {"locationRef": {"name": "b"}, "snapshot": "Latest"}}),
    ],
)
def test_a_bad_spec_is_refused(model: type[BaseModel], base: dict[str, Any], change: dict[str, Any]) -> None:
    model.model_validate(base)
    with pytest.raises(ValidationError):
        model.model_validate({**base, **change})


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ("None", SnapshotUse.NONE),
        ("Latest", SnapshotUse.LATEST),
        ("Required", SnapshotUse.REQUIRED),
        ("2026-11-21T12:00:00Z", NOON),
        ("2026-11-21T13:00:00+01:00", NOON),
        (NOON, NOON),  # as PyYAML reads it without quotes
    ],
)
def test_a_snapshot_is_a_word_or_a_time(choice: object, wanted: object) -> None:
    source = {"locationRef": {"name": "a"}, "snapshot": choice}
    task = TransferTaskSpec.model_validate({**TASK, "source": source})
    assert wanted_snapshot(task.source.snapshot) == wanted


@pytest.mark.parametrize(
    "choice",
    [
        "",
        "latest",
        "2026-11-21",
        "2026-11-21 12:00:00Z",
        "2026-11-21T12:00:00",
        "2026-02-30T12:00:00Z",
        "2026-11-21T12:00:00.5Z",
        "@GMT-2026.11.21-12.00.00",
        "1969-12-31T23:59:59Z",
        "2026-11-21T24:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "2026-11-21T12:00:00Z\n",
        "\uff12026-11-21T12:00:00Z",
        NOON.replace(tzinfo=None),
    ],
)
def test_what_is_no_snapshot_is_refused_with_what_was_expected(choice: object) -> None:
    with pytest.raises(ValidationError) as caught:
        TransferTaskSpec.model_validate({**TASK, "source": {"locationRef": {"name": "a"}, "snapshot": choice}})
    said = explain(caught.value, "spec", TransferTaskSpec)
    assert said.startswith("spec.source.snapshot: expected ")
    assert not isinstance(choice, str) or "None, Latest, Required or a" in said


def test_a_trigger_that_yaml_reads_as_a_date_is_a_text() -> None:
    task = TransferTaskSpec.model_validate({**TASK, "trigger": datetime(2026, 11, 21, tzinfo=UTC).date()})
    assert task.trigger == "2026-11-21"
