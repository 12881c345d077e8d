"""When the chart creates admission policies."""

from __future__ import annotations

import pytest
import yaml
from charts.kustomize.render import helm_text

WATCHED = "watchNamespaces={team}"


def policies(*values: str, kubernetes: str = "1.34.0") -> list[str]:
    settings = [word for value in values for word in ("--set", value)]
    text = helm_text("--skip-tests", *settings, "--kube-version", kubernetes)
    objects = [made for made in yaml.load_all(text, yaml.CSafeLoader) if made]
    return [made["metadata"]["name"] for made in objects if made["kind"] == "ValidatingAdmissionPolicy"]


@pytest.mark.parametrize(
    ("values", "kubernetes", "created"),
    [
        ((), "1.34.0", True),
        ((), "1.30.0", True),
        ((), "1.29.14", False),
        (("admissionPolicy.create=Never",), "1.34.0", False),
        ((WATCHED,), "1.34.0", False),
        ((WATCHED, "admissionPolicy.create=Always"), "1.34.0", True),
        (("admissionPolicy.create=Always",), "1.29.14", False),
        (("admissionPolicy.create=Always",), "v1.30.2-eks-1552ad0", True),
    ],
)
def test_policies_are_created_where_the_cluster_has_them_and_the_installation_is_for_all_of_it(
    values: tuple[str, ...], kubernetes: str, *, created: bool
) -> None:
    names = [f"smbferry-{name}" for name in ("access", "jobs", "keytabs", "reports", "runs")]
    assert sorted(policies(*values, kubernetes=kubernetes)) == (names if created else [])
