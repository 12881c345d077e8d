"""Decides what happens to each name of a folder, from two listings and the options. Pure."""
