"""`make sbom`: lists the images' packages as CycloneDX in build/sbom, and their licenses in docs/licenses.md."""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.smblab import product
from lab.support.environment import lab_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "sbom"
PAGE = ROOT / "docs" / "licenses.md"
OWN = "smbferry"
# Runs inside an image: what Python and Debian say of themselves there.
COLLECT = r"""
import importlib.metadata, json, pathlib, subprocess
python = []
for found in importlib.metadata.distributions():
    said = found.metadata
    classifiers = [c.rpartition("::")[2].strip() for c in said.get_all("Classifier", []) if c.startswith("License ::")]
    python.append([said["Name"], said["Version"], said.get("License-Expression"), said.get("License"), classifiers])
debian = []
fields = "${Package}\t${Version}\t${Architecture}\n"
for line in subprocess.run(["dpkg-query", "-W", "-f", fields], capture_output=True, text=True).stdout.splitlines():
    name, version, architecture = line.split("\t")
    path = pathlib.Path("/usr/share/doc", name, "copyright")
    debian.append([name, version, architecture, path.read_text(errors="replace") if path.exists() else ""])
release = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
print(json.dumps({"python": python, "debian": debian, "release": release["VERSION_ID"].strip('"')}))
"""
# Debian packages without a machine-readable copyright file, by a pattern of their names: the license of their files.
UNREADABLE = {
    r"base-files|debian-archive-keyring": "GPL-2+",
    r"gcc-\d+-base|libgcc-s1|libstdc\+\+6": "GPL-3+ with GCC Runtime Library Exception",
    r"libc6|libc-bin|libcrypt1|libgcrypt20|libgnutls30|libsemanage.*|libtasn1-6": "LGPL-2.1+",
    r"libgssapi-krb5-2|libk5crypto3|libkrb5-3|libkrb5support0": "MIT",
    r"libselinux1": "public-domain",
    r"(lib)?python3.*": "PSF-2.0",
}
HEAD = """\
# Licenses

Packages in the images besides smbferry itself (Apache-2.0), with the licenses that they declare. Each image's CycloneDX
file lists the versions. `make sbom` writes both.
"""


class SbomError(Exception):
    """An image contains a package without a known license."""


@dataclass(frozen=True, order=True)
class Package:
    """One package in an image. `expression`: `licence` is an SPDX expression."""

    ecosystem: str
    name: str
    version: str
    purl: str
    licence: str
    expression: bool = False

    def component(self) -> dict[str, Any]:
        """As CycloneDX 1.6 has it."""
        licence = {"expression": self.licence} if self.expression else {"license": {"name": self.licence}}
        described = {"name": self.name, "version": self.version, "purl": self.purl, "licenses": [licence]}
        return {"type": "library", "bom-ref": self.purl, **described}


def packages(collected: Mapping[str, Any]) -> list[Package]:
    """The packages of an image, in order.

    Raises:
        SbomError: a package declares no license.
    """
    found = [_python(*said) for said in collected["python"]]
    found += [_debian(collected["release"], *said) for said in collected["debian"]]
    return sorted(found)


def bom(image: str, contents: Iterable[Package]) -> dict[str, Any]:
    """A CycloneDX file; the same contents give the same file."""
    contents = list(contents)
    version = next(package.version for package in contents if package.name == OWN)
    components = [package.component() for package in contents]
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([image, components]))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{number}",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": image, "name": image, "version": version}},
        "components": components,
        "dependencies": [{"ref": image, "dependsOn": [package.purl for package in contents]}],
    }


def page(images: Mapping[str, Iterable[Package]]) -> str:
    """Returns the page with the licenses of all packages in all images."""
    where: dict[tuple[str, str, str], list[str]] = {}
    for image, contents in images.items():
        for package in contents:
            if package.name != OWN:
                where.setdefault((package.ecosystem, package.name, package.licence), []).append(image)
    lines = [HEAD]
    for ecosystem in ("Python", "Debian"):
        lines += [f"## {ecosystem} packages", "", "| package | license | image |", "|---|---|---|"]
        for (group, name, licence), names in sorted(where.items()):
            if group == ecosystem:
                lines.append(f"| {name} | {licence} | {', '.join(names)} |")
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def _python(name: str, version: str, expression: str | None, text: str | None, classifiers: list[str]) -> Package:
    """Of what a package says, the plainest: an SPDX expression, a short name, Trove's classifiers."""
    short = text if text and "\n" not in text.strip() and text != "UNKNOWN" else ""
    licence = expression or short or ", ".join(classifiers)
    if not licence:
        raise SbomError(f"the Python package {name} {version} declares no license; look it up and add it to {__name__}")
    canonical = re.sub(r"[-_.]+", "-", name).lower()
    return Package("Python", canonical, version, f"pkg:pypi/{canonical}@{version}", licence, bool(expression))


def _debian(release: str, name: str, version: str, architecture: str, said: str) -> Package:
    """By debian/copyright where a machine can read it (DEP 5), else as a person has read it (UNREADABLE)."""
    licence = next((words for pattern, words in UNREADABLE.items() if re.fullmatch(pattern, name)), "")
    if re.match(r"Format: *\S*copyright-format", said):
        found = re.findall(r"^License:[ \t]*(\S.*?)[ \t]*$", said, re.MULTILINE)
        licence = ", ".join(sorted(set(found), key=str.lower))
    if not licence:
        raise SbomError(
            f"the copyright file of the Debian package {name} is not machine-readable; add the package to UNREADABLE"
        )
    escaped = version.replace("+", "%2B").replace(":", "%3A")
    purl = f"pkg:deb/debian/{name}@{escaped}?arch={architecture}&distro=debian-{release}"
    return Package("Debian", name, version, purl, licence)


def collect(image: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """What an image says that is in it; it is run once, with no network."""
    command = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "python3", image, "-c", COLLECT]
    said = subprocess.run(command, env=dict(environment), check=True, capture_output=True, text=True).stdout
    return dict(json.loads(said))


def main() -> int:
    """Writes all of it."""
    environment = lab_environment()
    contents = {name: packages(collect(product.tag(name), environment)) for name in sorted(product.DOCKERFILES)}
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, found in contents.items():
        written = json.dumps(bom(f"{OWN}-{name}", found), indent=2) + "\n"
        (FOLDER / f"{name}.cdx.json").write_text(written, encoding="utf-8")
    PAGE.write_text(page(contents), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
