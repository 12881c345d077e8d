"""Converts AWS DataSync tasks, as printed by describe-task and describe-location-smb, to smbferry's manifests. Pure.

Every setting that smbferry handles differently or not at all gets a remark. A remark that starts with ``must``
describes a problem to fix before the manifests work.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from smbferry_cli import compose
from smbferry_cli.compose import Manifest, Unc
from smbferry_cli.datasync_schedule import ScheduleError, cron_of
from smbferry_cli.manifests import problem_of
from smbferry_words.options import (
    DeletedFiles,
    OverwriteMode,
    Preservation,
    SecurityDescriptors,
    TransferMode,
    VerifyMode,
)

Json = dict[str, Any]

# DataSync's values have the names of our members.
_WORDS: Final[dict[str, tuple[str, type[StrEnum]]]] = {
    "VerifyMode": ("verifyMode", VerifyMode),
    "OverwriteMode": ("overwriteMode", OverwriteMode),
    "TransferMode": ("transferMode", TransferMode),
    "PreserveDeletedFiles": ("deletedFiles", DeletedFiles),
    "Mtime": ("timestamps", Preservation),
    "SecurityDescriptorCopyFlags": ("securityDescriptors", SecurityDescriptors),
}
_OF_POSIX: Final = ("Uid", "Gid", "PosixPermissions", "PreserveDevices", "ObjectTags")
_HANDLED: Final = frozenset({*_WORDS, *_OF_POSIX, "Atime", "BytesPerSecond", "TaskQueueing", "LogLevel"})
_ENCRYPTING: Final = frozenset({"AUTOMATIC", "SMB3"})
_SEPARATOR: Final = re.compile(r"(?<!\\)\|")


class DataSyncError(Exception):
    """The input is not DataSync's output; the message says what was expected."""


@dataclass
class Imported:
    """Manifests in apply order, with remarks: ``must`` before applying them, ``notes`` for information."""

    manifests: list[Manifest] = field(default_factory=list)
    must: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def remarks(self) -> list[str]:
        """Returns all remarks as lines."""
        return [*(f"must: {text}" for text in self.must), *(f"note: {text}" for text in self.notes)]


@dataclass(frozen=True, slots=True)
class _Location:
    """The required fields of a DataSync location."""

    arn: str
    name: str
    unc: Unc
    principal: str
    nameservers: tuple[str, ...]


def convert(documents: Iterable[Json]) -> Imported:
    """Converts all ``documents`` to manifests.

    Raises:
        DataSyncError: a document is neither a task nor an SMB location.
    """
    result = Imported()
    locations: dict[str, _Location] = {}
    tasks: list[Json] = []
    for document in documents:
        if "TaskArn" in document:
            tasks.append(document)
        elif "LocationArn" in document and str(document.get("LocationUri", "")).startswith("smb://"):
            found = _location(document, result)
            locations[found.arn] = found
        else:
            raise DataSyncError(
                "expected the output of `aws datasync describe-task` or `describe-location-smb`, got an object with "
                + (", ".join(sorted(map(str, document))[:6]) or "no fields")
            )
    _add_identities(list(locations.values()), result)
    result.manifests += [compose.location(x.name, x.unc, x.principal, x.nameservers) for x in locations.values()]
    for task in tasks:
        _add_task(task, locations, result)
    result.must += [problem for manifest in result.manifests if (problem := problem_of(manifest))]
    return result


def _location(document: Json, result: Imported) -> _Location:
    unc = Unc.parse(str(document["LocationUri"]))
    name = compose.object_name(f"{unc.server.partition('.')[0]}-{unc.share}{unc.path}")
    where = f"SmbLocation {name}"
    version = (document.get("MountOptions") or {}).get("Version", "AUTOMATIC")
    if version not in _ENCRYPTING:
        result.must.append(
            f"{where}: DataSync used {version}. smbferry requires SMB 3.1.1 with encryption on the server"
        )
    return _Location(
        arn=str(document["LocationArn"]),
        name=name,
        unc=unc,
        principal=_principal(document, unc, where, result),
        nameservers=tuple(str(a) for a in document.get("DnsIpAddresses") or ()),
    )


def _principal(document: Json, unc: Unc, where: str, result: Imported) -> str:
    principal = document.get("KerberosPrincipal")
    if principal:
        if compose.realm_of(str(principal)):
            return str(principal)
        realm = compose.domain_of(unc.server).upper() or "REALM"
        result.must.append(
            f"{where}: principal {principal} has no realm. Check the guessed principal {principal}@{realm}"
        )
        return f"{principal}@{realm}"
    user, domain = str(document.get("User") or "user"), str(document.get("Domain") or "")
    realm = (domain if "." in domain else compose.domain_of(unc.server) or domain or "realm").upper()
    result.must.append(
        f"{where}: DataSync logged on with NTLM as {user}. smbferry uses only Kerberos: create a keytab for the "
        f"account. Check the guessed principal {user}@{realm}"
    )
    return f"{user}@{realm}"


def _add_identities(locations: list[_Location], result: Imported) -> None:
    """Adds an identity for each principal and a krb5.conf for each realm."""
    servers: dict[str, set[str]] = {}
    principals: dict[str, tuple[str, ...]] = {}
    for found in locations:
        domain = compose.domain_of(found.unc.server)
        servers.setdefault(compose.realm_of(found.principal), set()).update({domain} if domain else ())
        principals[found.principal] = principals.get(found.principal) or found.nameservers
    for realm, domains in servers.items():
        text = compose.krb5_conf(realm, domains)
        result.manifests.append(compose.config_map(compose.krb5_conf_name(realm), text))
    for principal, nameservers in principals.items():
        result.manifests.append(compose.identity(principal, nameservers))
        secret = compose.secret_name(principal)
        result.notes.append(
            f"DataSync does not return keytabs: run kubectl create secret generic {secret} --from-file=keytab=FILE"
        )


def _add_task(task: Json, locations: dict[str, _Location], result: Imported) -> None:
    arn = str(task["TaskArn"])
    name = compose.object_name(str(task.get("Name") or arn.rpartition("/")[2]), "task")
    where = f"TransferTask {name}"
    ends = []
    for key in ("SourceLocationArn", "DestinationLocationArn"):
        found = locations.get(str(task.get(key)))
        if found is None:
            result.must.append(
                f"{where}: {key} {task.get(key)} is not in the files, so the task was skipped. Add its "
                "describe-location-smb; smbferry supports only SMB shares"
            )
        ends.append(found)
    source, destination = ends
    if source is None or destination is None:
        return
    rest: Manifest = {}
    _add_start(task, rest, where, result)
    _add_options(task.get("Options") or {}, rest, where, result)
    _add_filters(task, rest)
    _add_report(task, rest, where, result)
    if task.get("ManifestConfig"):
        result.must.append(
            f"{where}: ManifestConfig (a list of files in S3) has no equivalent; use filters.include instead"
        )
    result.manifests.append(compose.task(name, source.name, destination.name, rest))


def _add_start(task: Json, rest: Manifest, where: str, result: Imported) -> None:
    schedule = task.get("Schedule") or {}
    expression = schedule.get("ScheduleExpression")
    if not expression:
        rest["suspend"] = True
        result.notes.append(f"{where}: the task has no schedule, so it is suspended. Set suspend: false to run it once")
        return
    try:
        cron, remark = cron_of(str(expression))
    except ScheduleError as error:
        rest["suspend"] = True
        result.must.append(f"{where}: {error}. The task is suspended until you set a schedule")
        return
    rest["schedule"] = {"cron": cron}
    if remark:
        result.notes.append(f"{where}: {remark}")
    if schedule.get("Status") == "DISABLED":
        rest["suspend"] = True


def _add_options(options: Json, rest: Manifest, where: str, result: Imported) -> None:
    chosen: Manifest = {}
    for theirs, (ours, words) in _WORDS.items():
        value = options.get(theirs)
        if value is None:
            continue
        if value in words.__members__:
            chosen[ours] = words[value].value
        else:
            result.must.append(f"{where}: {theirs}: expected one of {', '.join(words.__members__)}, got {value}")
    if chosen.get("deletedFiles") == "Remove":
        result.notes.append(
            f"{where}: smbferry deletes at most 10% of the destination's files in one run; set options.maxDeletes "
            "to change this"
        )
    if (options.get("BytesPerSecond") or -1) > 0:
        chosen["bytesPerSecond"] = int(options["BytesPerSecond"])
    if options.get("Mtime", "PRESERVE") == "PRESERVE" and options.get("Atime") == "NONE":
        result.notes.append(
            f"{where}: Atime NONE has no equivalent: options.timestamps copies creation, access and write times "
            "together"
        )
    ignored = [key for key in _OF_POSIX if options.get(key, "NONE") not in {"NONE", "PRESERVE"}]
    ignored += sorted(set(options) - _HANDLED)
    result.notes += [f"{where}: {key} {options[key]} does not apply to SMB and was skipped" for key in ignored]
    if chosen:
        rest["options"] = chosen
    if options.get("TaskQueueing") == "DISABLED":
        rest["concurrency"] = "Skip"
    if options.get("LogLevel") == "TRANSFER":
        rest["report"] = {"detail": "Everything"}


def _add_filters(task: Json, rest: Manifest) -> None:
    filters: Manifest = {}
    for key in ("Includes", "Excludes"):
        ours = key.lower().removesuffix("s")
        patterns = [p for rule in task.get(key) or () for p in _SEPARATOR.split(str(rule.get("Value", ""))) if p]
        if patterns:
            filters[ours] = patterns
    if filters:
        rest["filters"] = filters


def _add_report(task: Json, rest: Manifest, where: str, result: Imported) -> None:
    report = task.get("TaskReportConfig") or {}
    if not report:
        return
    if report.get("ReportLevel") == "SUCCESSES_AND_ERRORS":
        rest["report"] = {"detail": "Everything"}
    result.notes.append(
        f"{where}: DataSync wrote task reports to S3. Set report.locationRef to an SmbLocation to get reports"
    )
