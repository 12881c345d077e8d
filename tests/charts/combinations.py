"""The chart rendered with each of the files in values/."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml
from charts.kustomize.render import helm_text

Object = dict[str, Any]
FILES: Final = tuple(sorted((Path(__file__).parent / "values").glob("*.yaml")))
CRD: Final = "CustomResourceDefinition"
# Two cores: more of them at once take no less time.
AT_ONCE: Final = 2


@dataclass(frozen=True)
class Rendered:
    """What the chart makes of one values file."""

    name: str
    text: str

    @cached_property
    def objects(self) -> list[Object]:
        """Its objects."""
        return [document for document in yaml.load_all(self.text, yaml.CSafeLoader) if document]

    @property
    def own_objects(self) -> list[Object]:
        """Its objects without the CustomResourceDefinitions, which are large and alike everywhere."""
        return [obj for obj in self.objects if obj["kind"] != CRD]


def rendered() -> list[Rendered]:
    """Every combination; needs `helm` on the PATH.

    Raises:
        subprocess.CalledProcessError: Helm refused one.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        texts = pool.map(lambda file: helm_text("--values", str(file)), FILES)
        return [Rendered(file.stem, text) for file, text in zip(FILES, texts, strict=True)]


def distinct(combinations: list[Rendered]) -> list[Object]:
    """The objects of all combinations, each that is the same in several once."""
    found = {json.dumps(obj, sort_keys=True): obj for one in combinations for obj in one.objects}
    return list(found.values())
