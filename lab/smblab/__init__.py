"""Starts and stops the lab: Docker, a Samba AD domain, a kind cluster, a tools container. Standard library only."""
