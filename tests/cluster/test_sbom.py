"""The images hold what is locked, and the list of it is CycloneDX in the judgement of CycloneDX's own library."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from lab import sbom
from lab.smblab import checks, product, settings

ROOT = Path(__file__).parents[2]
VALIDATE = """\
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()) and "not CycloneDX")
"""


def judged(bom: object) -> int:
    python = checks.checkov_python(settings.current())
    return subprocess.run([python, "-c", VALIDATE], input=json.dumps(bom), text=True, check=False).returncode


@pytest.mark.parametrize("image", product.DOCKERFILES)
def test_an_images_list_is_valid_and_whole(environment: dict[str, str], image: str) -> None:
    found = sbom.packages(sbom.collect(product.tag(image), environment))
    made = sbom.bom(image, found)
    assert judged(made) == 0
    assert judged({**made, "components": [{"type": "library"}]}) == 1

    lock = (ROOT / "requirements" / f"{image}.lock").read_text(encoding="utf-8")
    locked = {f"{name}=={version}" for name, version in re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE)}
    python = {f"{p.name}=={p.version}" for p in found if p.ecosystem == "Python" and p.name != sbom.OWN}
    assert python <= locked
    assert {"python3", "libc6"} <= {p.name for p in found}


def test_the_committed_licences_are_those_of_the_images(environment: dict[str, str]) -> None:
    contents = {
        name: sbom.packages(sbom.collect(product.tag(name), environment)) for name in sorted(product.DOCKERFILES)
    }
    written, committed = sbom.page(contents), sbom.PAGE.read_text(encoding="utf-8")
    # Which Debian packages there are depends on the base that is to be had.
    assert written.partition("## Debian")[0] == committed.partition("## Debian")[0]
