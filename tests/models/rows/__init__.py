"""Rows of the catalogue, a family a file."""
