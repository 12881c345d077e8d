"""A debug bundle: what helps to understand a problem, and nothing secret, in one file."""
