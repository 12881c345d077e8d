"""Reads manifests from files: smbferry's kinds, and the Secrets and ConfigMaps that they reference.

Rejects everything that an API server would reject, with the file, the document and the field.
"""

import base64
import binascii
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import ValidationError

from smbferry_api.exit_codes import ExitCode
from smbferry_api.explain import explain
from smbferry_api.fields import Spec
from smbferry_api.identity import KerberosIdentitySpec
from smbferry_api.location import SmbLocationSpec
from smbferry_api.names import API_VERSION
from smbferry_api.run import ResolvedEnd, ResolvedIdentity, ResolvedTask
from smbferry_api.task import TransferTaskSpec

T = TypeVar("T")
S = TypeVar("S", bound=Spec)

MAX_FILE_BYTES: Final = 8 << 20


class ManifestError(Exception):
    """A manifest is invalid; the message says which one, what was expected and what was found."""

    exit_code = ExitCode.CONFIGURATION


@dataclass
class Manifests:
    """Content of the files by name; Secrets and ConfigMaps as bytes by key."""

    identities: dict[str, KerberosIdentitySpec] = field(default_factory=dict)
    locations: dict[str, SmbLocationSpec] = field(default_factory=dict)
    tasks: dict[str, TransferTaskSpec] = field(default_factory=dict)
    secrets: dict[str, dict[str, bytes]] = field(default_factory=dict)
    config_maps: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def resolve(self, task_name: str) -> ResolvedTask:
        """Returns the task with all its references resolved.

        Raises:
            ManifestError: the task or a referenced object is not in the files.
        """
        task = _named(self.tasks, "TransferTask", task_name, "to run")
        return ResolvedTask(
            name=task_name,
            source=self._end(task.source.location_ref.name, task.source.path, task_name),
            source_snapshot=task.source.snapshot,
            destination=self._end(task.destination.location_ref.name, task.destination.path, task_name),
            options=task.options,
            filters=task.filters,
            agent=task.agent,
            report=task.report,
            report_to=self._end(task.report.location_ref.name, "/", task_name) if task.report.location_ref else None,
        )

    def _end(self, name: str, path: str, task_name: str) -> ResolvedEnd:
        location = _named(self.locations, "SmbLocation", name, f"named by TransferTask {task_name}")
        identity_name = location.identity_ref.name
        identity = _named(self.identities, "KerberosIdentity", identity_name, f"named by SmbLocation {name}")
        return ResolvedEnd(
            location=name,
            path=path,
            spec=location,
            identity=ResolvedIdentity(name=identity_name, spec=identity),
        )


def load(paths: Iterable[Path]) -> Manifests:
    """Reads files, and all *.yaml, *.yml and *.json files in folders, in order.

    Raises:
        ManifestError: a file cannot be read or is invalid.
    """
    found = Manifests()
    for path in _files(paths):
        for number, document in enumerate(_documents(path), 1):
            _take(found, document, f"{path}, document {number}")
    return found


def read_json(path: Path, expected: str) -> Any:
    """Reads a JSON file, or stdin for `-`.

    Args:
        expected: description of the expected content, for the error message if the file is too large.

    Raises:
        ManifestError: the file cannot be read or is not JSON.
    """
    try:
        if str(path) == "-":
            return json.loads(sys.stdin.read(MAX_FILE_BYTES))
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ManifestError(f"{path}: expected {expected}, got a file larger than {MAX_FILE_BYTES >> 20} MiB")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror or 'cannot be read'}") from error
    except ValueError as error:
        raise ManifestError(f"{path}: not JSON: {error}") from error


def problem_of(document: dict[str, Any]) -> str | None:
    """Returns what an API server would reject in a generated manifest, or None."""
    try:
        _take(Manifests(), document, "this manifest")
    except ManifestError as error:
        return str(error).removeprefix("this manifest, ")
    return None


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.iterdir() if p.suffix in {".yaml", ".yml", ".json"})
        elif path.is_file():
            yield path
        else:
            raise ManifestError(f"{path}: there is no such file or folder")


def _documents(path: Path) -> list[Any]:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ManifestError(f"{path}: expected Kubernetes manifests, got a file larger than {MAX_FILE_BYTES >> 20} MiB")
    try:
        text = path.read_text(encoding="utf-8")
        return [d for d in yaml.safe_load_all(text) if d is not None]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ManifestError(f"{path}: not readable as YAML: {_why(error)}") from None


def _why(error: OSError | UnicodeDecodeError | yaml.YAMLError) -> str:
    """Returns the problem and its position. PyYAML's own message quotes the line, which may be part of a Secret."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {error.problem}"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    return error.strerror or "cannot be read" if isinstance(error, OSError) else type(error).__name__


def _take(found: Manifests, document: Any, where: str) -> None:
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        raise ManifestError(f"{where}: expected a Kubernetes object with apiVersion, kind and metadata")
    if document["kind"] == "List":
        for item in document.get("items") or []:
            _take(found, item, where)
        return
    kind, name = document["kind"], (document.get("metadata") or {}).get("name")
    where = f"{where}, {kind} {name or 'without a name'}"
    if not isinstance(name, str) or not name:
        raise ManifestError(f"{where}: metadata.name is missing")
    if document.get("apiVersion") == API_VERSION:
        _take_ours(found, kind, name, document, where)
    elif document.get("apiVersion") == "v1" and kind == "Secret":
        _put(found.secrets, name, _secret_data(document, where), where)
    elif document.get("apiVersion") == "v1" and kind == "ConfigMap":
        _put(found.config_maps, name, _config_map_data(document, where), where)
    # Other kinds (a Namespace, a Kustomization) are ignored.


def _take_ours(found: Manifests, kind: str, name: str, document: dict[str, Any], where: str) -> None:
    if kind == "KerberosIdentity":
        _put(found.identities, name, _parse(KerberosIdentitySpec, document, where), where)
    elif kind == "SmbLocation":
        _put(found.locations, name, _parse(SmbLocationSpec, document, where), where)
    elif kind == "TransferTask":
        _put(found.tasks, name, _parse(TransferTaskSpec, document, where), where)
    else:
        raise ManifestError(f"{where}: expected KerberosIdentity, SmbLocation or TransferTask")


def _put(into: dict[str, T], name: str, value: T, where: str) -> None:
    if name in into:
        raise ManifestError(f"{where}: another object of this kind has the same name")
    into[name] = value


def _parse(model: type[S], document: dict[str, Any], where: str) -> S:
    try:
        return model.model_validate(document.get("spec"))
    except ValidationError as error:
        raise ManifestError(f"{where}: {explain(error, 'spec', model)}") from error


def _secret_data(document: dict[str, Any], where: str) -> dict[str, bytes]:
    encoded = _decoded(document.get("data"), f"{where}: data")
    return encoded | {k: str(v).encode() for k, v in (document.get("stringData") or {}).items()}


def _config_map_data(document: dict[str, Any], where: str) -> dict[str, bytes]:
    encoded = _decoded(document.get("binaryData"), f"{where}: binaryData")
    return encoded | {k: str(v).encode() for k, v in (document.get("data") or {}).items()}


def _decoded(data: dict[str, Any] | None, where: str) -> dict[str, bytes]:
    result = {}
    for key, value in (data or {}).items():
        try:
            result[key] = base64.b64decode("".join(str(value).split()), validate=True)
        except binascii.Error:
            # The message contains neither the value nor the error's text, because they may contain a key.
            raise ManifestError(f"{where}.{key} is not base64") from None
    return result


def _named(within: dict[str, T], kind: str, name: str, why: str) -> T:
    if name not in within:
        have = ", ".join(sorted(within)) or "none"
        raise ManifestError(f"{kind} {name}, {why}, is not in the files; found: {have}")
    return within[name]
