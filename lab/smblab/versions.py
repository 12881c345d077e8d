"""Every pinned version of the lab, in one place."""

KUBERNETES = "1.34.4"
ETCD = "3.6.4"
KIND = "v0.33.0"
COREDNS = "v1.12.1"
HELM = "v3.22.0"
RCLONE = "v1.75.1"
PAUSE = "3.10"

DEBIAN_SUITE = "bookworm"
UPSTREAM_DEBIAN = f"debian:{DEBIAN_SUITE}-slim"
UPSTREAM_GOLANG = f"golang:1.25-{DEBIAN_SUITE}"
UPSTREAM_NODE = f"kindest/node:v{KUBERNETES}"

MINIMUM_GO = (1, 24)
