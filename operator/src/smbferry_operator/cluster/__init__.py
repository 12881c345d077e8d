"""The only package that sends requests to the API server."""
