"""Checks before data moves: probes collect facts (IO), judges turn facts into findings (pure)."""
