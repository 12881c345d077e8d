"""Command-line inputs in addition to manifests: keytabs, krb5.conf files and DNS servers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from smbferry_cli.manifests import ManifestError, Manifests

# The agent rejects keytabs over 64 KiB and a krb5.conf over 128 KiB; one byte more than the larger limit is enough.
_MAX_BYTES: Final = 128 * 1024 + 1


@dataclass(frozen=True, slots=True)
class NamedPath:
    """NAME=PATH: an object referenced by a manifest, and the file or folder to use instead."""

    name: str
    path: Path

    @classmethod
    def parse(cls, text: str) -> "NamedPath":
        """Parses NAME=PATH.

        Raises:
            ValueError: the text does not have this form.
        """
        name, _, path = text.partition("=")
        if not (name and path):
            raise ValueError(f"expected NAME=PATH, got {text!r}")
        return cls(name, Path(path))


def with_files(
    manifests: Manifests, keytabs: Iterable[NamedPath] = (), krb5_confs: Iterable[NamedPath] = ()
) -> Manifests:
    """Returns the manifests with files instead of Secrets and ConfigMaps.

    A file replaces the keys that identities reference. A folder replaces the whole object: each file in it is a key.

    Raises:
        ManifestError: no identity references that name, or the path cannot be read.
    """
    specs = manifests.identities.values()
    secrets = {(spec.keytab_secret_ref.name, spec.keytab_secret_ref.key) for spec in specs}
    config_maps = {(spec.krb5_config_map_ref.name, spec.krb5_config_map_ref.key) for spec in specs}
    return replace(
        manifests,
        secrets={**manifests.secrets, **_read_all("--keytab", "keytabSecretRef", keytabs, secrets)},
        config_maps={**manifests.config_maps, **_read_all("--krb5-conf", "krb5ConfigMapRef", krb5_confs, config_maps)},
    )


def with_nameservers(manifests: Manifests, nameservers: Iterable[str]) -> Manifests:
    """Returns the manifests with these DNS servers in all identities and locations that have none."""
    update = {"nameservers": tuple(nameservers)}
    return replace(
        manifests,
        identities={n: s if s.nameservers else s.model_copy(update=update) for n, s in manifests.identities.items()},
        locations={n: s if s.nameservers else s.model_copy(update=update) for n, s in manifests.locations.items()},
    )


def _read_all(
    option: str, field: str, given: Iterable[NamedPath], wanted: set[tuple[str, str]]
) -> Mapping[str, dict[str, bytes]]:
    names = sorted({name for name, _ in wanted})
    found = {}
    for item in given:
        if item.name not in names:
            raise ManifestError(
                f"{option} {item.name}: expected the name in an identity's {field}, found: {', '.join(names) or 'none'}"
            )
        keys = [key for name, key in sorted(wanted) if name == item.name]
        try:
            found[item.name] = _read(item.path, keys)
        except OSError as error:
            raise ManifestError(f"{option} {item.name}={item.path}: {error.strerror}") from error
    return found


def _read(path: Path, keys: Iterable[str]) -> dict[str, bytes]:
    if path.is_dir():
        return {file.name: _bytes(file) for file in sorted(path.iterdir()) if file.is_file()}
    data = _bytes(path)
    return dict.fromkeys(keys, data)


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_BYTES)
