"""The fixtures of the cluster tests: the chart in the lab's cluster, a namespace, users and folders."""

from tests.cluster.conftest import (
    chart,
    domain,
    environment,
    kube,
    pytest_addoption,
    pytest_sessionfinish,
    scene,
)

__all__ = ["chart", "domain", "environment", "kube", "pytest_addoption", "pytest_sessionfinish", "scene"]
