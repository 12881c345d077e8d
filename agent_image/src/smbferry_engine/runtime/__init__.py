"""The scheduler: coroutines, signals and what they share; no IO."""
