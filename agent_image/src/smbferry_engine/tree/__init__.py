"""Whole trees: walk, plan, copy, compare, prune."""
