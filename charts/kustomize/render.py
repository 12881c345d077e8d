"""Renders the kustomize base from the chart, so that both install the same objects: `python
charts/kustomize/render.py`.

Requires `helm` on the PATH. Omits Helm's labels; the CustomResourceDefinitions are a separate base, crds/.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).resolve().parent
CHART: Final = HERE.parent / "smbferry"
BASE: Final = HERE / "smbferry.yaml"
RELEASE: Final = "smbferry"
NAMESPACE: Final = "smbferry-system"
KUBERNETES: Final = "1.34.0"
_HEAD: Final = "# Rendered from the chart by charts/kustomize/render.py; do not edit.\n"


def helm_template(*values: str) -> list[dict[str, Any]]:
    """Returns the objects that `helm install smbferry` creates in the default namespace."""
    return [document for document in yaml.safe_load_all(helm_text("--skip-tests", *values)) if document]


def helm_text(*values: str, release: str = RELEASE, namespace: str = NAMESPACE) -> str:
    """Returns Helm's output, including the objects of `helm test`."""
    command = [
        "helm",
        "template",
        release,
        str(CHART),
        "--namespace",
        namespace,
        "--kube-version",
        KUBERNETES,
        *values,
    ]
    said = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 (our chart, the user's helm)
    return said.stdout


def without_helm(document: dict[str, Any]) -> dict[str, Any]:
    """Returns the object without the label that marks it as managed by Helm."""
    for metadata in (document["metadata"], document.get("spec", {}).get("template", {}).get("metadata", {})):
        labels = metadata.get("labels", {})
        labels.pop("helm.sh/chart", None)
        labels.pop("app.kubernetes.io/managed-by", None)
        if set(metadata.get("annotations", {})) == {"helm.sh/resource-policy"}:
            del metadata["annotations"]
    return document


def render() -> str:
    """Returns the content of the base."""
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }
    documents = [namespace, *(without_helm(d) for d in helm_template("--set", "crds.install=false"))]
    return _HEAD + "---\n".join(yaml.safe_dump(d, sort_keys=False, width=120) for d in documents)


def main() -> int:
    """Writes the base. With --check, returns 1 if it is out of date."""
    text = render()
    if BASE.exists() and BASE.read_text(encoding="utf-8") == text:
        return 0
    if "--check" in sys.argv[1:]:
        sys.stdout.write(f"{BASE.name} is out of date; run python charts/kustomize/render.py\n")
        return 1
    BASE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
