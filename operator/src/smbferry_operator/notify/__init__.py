"""CloudEvents about ended runs and changed readiness, for the sink of the installation."""
