"""Where results go: the object's status in a cluster, a local file, a terminal; all behind one protocol."""
