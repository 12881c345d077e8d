"""The command `smbferry-operator`: reads the settings, connects, and runs until SIGTERM.

In a cluster it uses the pod's service account, elsewhere KUBECONFIG.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from smbferry_operator.cluster import kopf_events
from smbferry_operator.cluster.client import Cluster
from smbferry_operator.cluster.errors import ClusterError
from smbferry_operator.cluster.lease import LeaseStore
from smbferry_operator.decide.lease import LeaseTimes
from smbferry_operator.leader import Fence
from smbferry_operator.service import Service
from smbferry_operator.settings import Settings, SettingsError
from smbferry_operator.telemetry.certificate import CertificateError

USAGE_ERROR: Final = 2
SPARE_CONNECTIONS: Final = 4


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="smbferry-operator", description="The operator of smbferry.")
    parser.add_argument("--standalone", action="store_true", help="do not elect a leader: no other operator runs")
    return parser.parse_args(arguments)


def build_service(settings: Settings) -> Service:
    """The operator, with credentials for the API server.

    Raises:
        ClusterError: no credentials were found.
        CertificateError: the certificate of the metrics cannot be used.
    """
    fence = Fence()
    cluster = Cluster.connect(settings.workers + SPARE_CONNECTIONS, fence.remaining)
    # The lease has a connection of its own, so that slow requests do not delay its renewal.
    candidate = None if settings.standalone else (_lease_store(settings), f"{settings.instance}_{uuid4()}")
    return Service(settings, cluster, fence, candidate, unfenced=Cluster.connect(1))


def _lease_store(settings: Settings) -> LeaseStore:
    one_after_another = Cluster.connect(1)
    return LeaseStore(one_after_another, settings.lease_namespace, settings.lease_name, LeaseTimes())


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the operator until SIGTERM; returns the exit code."""
    options = parse_arguments(arguments)
    try:
        settings = Settings.read(os.environ, standalone=options.standalone)
        service = build_service(settings)
    except (SettingsError, ClusterError, CertificateError) as error:
        sys.stderr.write(f"smbferry-operator: {error}\n")
        return USAGE_ERROR
    kopf_events.run(service, settings)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
