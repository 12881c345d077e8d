"""Checks before data moves: probes gather facts (IO), judges turn facts into findings (pure)."""
