"""The commands import and init, which write manifests. They need neither the agent nor libkrb5."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from smbferry_api.exit_codes import ExitCode
from smbferry_cli import compose
from smbferry_cli.compose import Manifest, Unc
from smbferry_cli.datasync import DataSyncError, convert
from smbferry_cli.manifests import ManifestError, problem_of, read_json
from smbferry_cli.text import safe

_MAX_KEYTAB_BYTES: Final = 64 << 10
_KEYTAB_VERSION: Final = b"\x05\x02"


def import_command(arguments: argparse.Namespace) -> ExitCode:
    """`smbferry import datasync`."""
    documents = [document for path in arguments.files for document in _json(path)]
    try:
        imported = convert(documents)
    except DataSyncError as error:
        raise ManifestError(str(error)) from error
    for remark in imported.remarks:
        print(safe(remark), file=sys.stderr)
    sys.stdout.write(compose.to_yaml(imported.manifests, imported.remarks))
    return ExitCode.CONFIGURATION if imported.must else ExitCode.DONE


def _json(path: Path) -> list[dict[str, Any]]:
    document = read_json(path, "the output of a describe command")
    found = document if isinstance(document, list) else [document]
    if not all(isinstance(item, dict) for item in found):
        raise ManifestError(f"{path}: expected a JSON object or a list of objects")
    return found


def init_command(arguments: argparse.Namespace, ask: Callable[[str], str] | None = None) -> ExitCode:
    """`smbferry init`. ``ask``: asks the user a question; default: on the terminal, if there is one."""
    if ask is None and sys.stdin.isatty():
        ask = input
    complete(arguments, ask)
    files = files_of(arguments)
    problems = [p for documents in files.values() for document in documents if (p := problem_of(document))]
    if problems:
        raise ManifestError("; ".join(problems))
    _write(arguments.folder, files, force=arguments.force)
    for name in files:
        print(f"{arguments.folder / name}")
    for principal, keytab in _keytabs(arguments).items():
        if keytab is None:
            secret = compose.secret_name(principal)
            print(
                f"next: kubectl create secret generic {secret} --from-file=keytab=KEYTAB (keytab of {safe(principal)})"
            )
    print(f"next: smbferry check {arguments.folder}, or kubectl apply -f {arguments.folder}")
    return ExitCode.DONE


def complete(arguments: argparse.Namespace, ask: Callable[[str], str] | None) -> None:
    """Asks for missing flags.

    Raises:
        ManifestError: a flag is missing and there is no terminal, or an answer is invalid.
    """
    questions = {
        "source": "Source folder (//server/share/folder)? ",
        "destination": "Destination folder (//server/share/folder)? ",
        "principal": "Principal that opens the shares (name@REALM, case-sensitive)? ",
    }
    for flag, question in questions.items():
        if getattr(arguments, flag):
            continue
        if ask is None:
            raise ManifestError(f"--{flag} is missing, and there is no terminal to ask for it")
        answer = ask(question).strip()
        try:
            setattr(arguments, flag, answer if flag == "principal" else Unc.parse(answer))
        except ValueError as error:
            raise ManifestError(str(error)) from error


def files_of(arguments: argparse.Namespace) -> dict[str, list[Manifest]]:
    """Returns the manifests by file name, in apply order."""
    source, destination = arguments.source, arguments.destination
    principals = _keytabs(arguments)
    other = arguments.destination_principal or arguments.principal
    rest: Manifest = {"schedule": {"cron": arguments.schedule}} if arguments.schedule else {"trigger": "first"}
    secrets = [
        compose.keytab_secret(compose.secret_name(principal), _keytab(path))
        for principal, path in principals.items()
        if path is not None
    ]
    files = {
        "10-krb5.yaml": _krb5(arguments, principals),
        "20-identities.yaml": [compose.identity(p, arguments.nameserver) for p in principals],
        "30-locations.yaml": [
            compose.location("source", source, arguments.principal, arguments.nameserver),
            compose.location("destination", destination, other, arguments.nameserver),
        ],
        "40-task.yaml": [compose.task(arguments.name, "source", "destination", rest)],
    }
    return {"15-keytabs.yaml": secrets, **files} if secrets else files


def _keytabs(arguments: argparse.Namespace) -> dict[str, Path | None]:
    """Returns the keytab file of each principal, or None."""
    found = {arguments.principal: arguments.keytab}
    if arguments.destination_principal:
        found.setdefault(arguments.destination_principal, arguments.destination_keytab)
    return found


def _krb5(arguments: argparse.Namespace, principals: dict[str, Path | None]) -> list[Manifest]:
    domains = {compose.domain_of(unc.server) for unc in (arguments.source, arguments.destination)} - {""}
    realms = dict.fromkeys(compose.realm_of(principal) for principal in principals)
    if arguments.krb5_conf is None:
        return [compose.config_map(compose.krb5_conf_name(r), compose.krb5_conf(r, domains)) for r in realms]
    try:
        text = arguments.krb5_conf.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{arguments.krb5_conf}: cannot be read as text: {type(error).__name__}") from error
    return [compose.config_map(compose.krb5_conf_name(realm), text) for realm in realms]


def _keytab(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror or 'cannot be read'}") from error
    if not content.startswith(_KEYTAB_VERSION) or len(content) > _MAX_KEYTAB_BYTES:
        raise ManifestError(f"{path}: expected a keytab (version 5.2, at most {_MAX_KEYTAB_BYTES >> 10} KiB)")
    return content


def _write(folder: Path, files: dict[str, list[Manifest]], *, force: bool) -> None:
    """Writes all files or none. Only the owner can read files with keys."""
    there = [str(folder / name) for name in files if (folder / name).exists()]
    if there and not force:
        raise ManifestError(f"{', '.join(there)}: already there; use --force to replace them")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, documents in files.items():
            secret = any(document["kind"] == "Secret" for document in documents)
            (folder / name).unlink(missing_ok=True)
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(compose.to_yaml(documents))
    except OSError as error:
        raise ManifestError(f"{folder}: {error.strerror or 'cannot be written'}") from error
