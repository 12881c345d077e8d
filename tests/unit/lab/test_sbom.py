"""What `make sbom` makes of what an image says of itself; and its page is about what is locked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from lab.sbom import PAGE, Package, SbomError, bom, packages, page

ROOT = Path(__file__).parents[3]
DEP5 = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Files: *
License: Expat

Files: debian/*
License: GPL-2+
 On Debian, see /usr/share/common-licenses/GPL-2
"""
OURS: list[Any] = ["smbferry", "0.1.0", "Apache-2.0", None, []]


def said(python: list[Any] | None = None, debian: list[Any] | None = None) -> dict[str, Any]:
    return {"python": [OURS, *([python] if python else [])], "debian": [debian] if debian else [], "release": "12"}


@pytest.mark.parametrize(
    ("python", "licence", "expression"),
    [
        (["pydantic", "2.14", "MIT", None, []], "MIT", True),
        (["PyYAML", "6.0", None, "MIT", ["MIT License"]], "MIT", False),
        (["mdurl", "0.1", None, None, ["MIT License"]], "MIT License", False),
        (["long", "1.0", None, "Permission is hereby\ngranted", ["ISC License"]], "ISC License", False),
    ],
)
def test_a_python_packages_licence_is_what_it_says_plainest(
    python: list[Any], licence: str, *, expression: bool
) -> None:
    (found,) = (p for p in packages(said(python)) if p.name != "smbferry")
    assert (found.licence, found.expression) == (licence, expression)
    assert found.purl == f"pkg:pypi/{python[0].lower()}@{python[1]}"


@pytest.mark.parametrize(
    ("name", "copyright_file", "licence"),
    [
        ("libffi8", DEP5, "Expat, GPL-2+"),
        ("libkrb5-3", "This package was debianized. See /usr/share/common-licenses/GPL-2", "MIT"),
        ("libpython3.11-stdlib", "License: * Permission to use", "PSF-2.0"),
        ("gcc-12-base", "", "GPL-3+ with GCC Runtime Library Exception"),
    ],
)
def test_a_debian_packages_licence_is_read_by_machine_or_was_by_a_person(
    name: str, copyright_file: str, licence: str
) -> None:
    found = packages(said(debian=[name, "1:2.0+b1", "amd64", copyright_file]))[0]
    assert found.licence == licence
    assert found.purl == f"pkg:deb/debian/{name}@1%3A2.0%2Bb1?arch=amd64&distro=debian-12"


@pytest.mark.parametrize(
    ("collected", "why"),
    [
        (said(python=["secret", "1.0", None, "UNKNOWN", []]), "secret 1.0 declares no license"),
        (
            said(debian=["odd", "1", "all", "Do what you want."]),
            "package odd is not machine-readable; add the package to UNREADABLE",
        ),
    ],
)
def test_a_package_without_a_licence_is_an_error(collected: dict[str, Any], why: str) -> None:
    with pytest.raises(SbomError, match=why):
        packages(collected)


def test_the_same_contents_give_the_same_file() -> None:
    contents = packages(said(["pydantic", "2.14", "MIT", None, []]))
    made = bom("smbferry-agent", contents)
    assert made == bom("smbferry-agent", list(contents))
    assert made["metadata"]["component"]["version"] == "0.1.0"
    assert made["serialNumber"] != bom("smbferry-operator", contents)["serialNumber"]
    assert made["components"][0]["licenses"] == [{"expression": "MIT"}]


def test_the_page_names_each_package_once_with_its_images() -> None:
    shared = Package("Python", "pydantic", "2.14", "pkg:pypi/pydantic@2.14", "MIT")
    lines = page({"agent": [shared], "operator": [shared]}).splitlines()
    assert [line for line in lines if "pydantic" in line] == ["| pydantic | MIT | agent, operator |"]


@pytest.mark.parametrize("image", ["agent", "operator"])
def test_the_committed_page_has_the_licence_of_every_locked_package(image: str) -> None:
    lock = (ROOT / "requirements" / f"{image}.lock").read_text(encoding="utf-8")
    locked = dict(re.findall(r"^([\w.-]+)==\S+(.*)$", lock, re.MULTILINE))
    on_linux = {name for name, marker in locked.items() if "sys_platform == 'win32'" not in marker}
    python, _, _ = PAGE.read_text(encoding="utf-8").partition("## Debian packages")
    listed = {
        name for name, images in re.findall(r"^\| (\S+) \| .* \| (.*) \|$", python, re.MULTILINE) if image in images
    }
    assert listed == on_linux
