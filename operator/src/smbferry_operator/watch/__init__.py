"""Events of the cluster: the keys that a change concerns, full lists, and whether each watch is alive."""
