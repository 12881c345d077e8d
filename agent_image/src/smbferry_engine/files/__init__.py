"""One file: its content, its metadata and its final name."""
