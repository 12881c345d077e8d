"""The objects that one agent consists of: Job, pod, ServiceAccount and Role, NetworkPolicy."""
