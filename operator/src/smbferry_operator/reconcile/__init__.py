"""The work queue, its workers, and one object's round: observe, decide, apply."""
