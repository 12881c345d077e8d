"""The only part of the operator that speaks to the API server."""
