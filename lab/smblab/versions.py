"""Every pinned version of the lab, in one place."""

KUBERNETES = "1.34.4"
ETCD = "3.6.4"
KIND = "v0.33.0"
COREDNS = "v1.12.1"
HELM = "v3.22.0"
RCLONE = "v1.75.1"
KWOK = "v0.7.0"
KUBECONFORM = "v0.8.0"
KUBE_SCORE = "v1.20.0"
PAUSE = "3.10"

DEBIAN_SUITE = "bookworm"
UPSTREAM_DEBIAN = f"debian:{DEBIAN_SUITE}-slim"
UPSTREAM_GOLANG = f"golang:1.25-{DEBIAN_SUITE}"
# The image of this minor version that was built for this kind (its release notes); not every patch has one.
UPSTREAM_NODE = "kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d"

MINIMUM_GO = (1, 24)
