"""Weights and models from files: by position, by name, whole."""

from mcore.checkpoint.positions import load_by_position

__all__ = ["load_by_position"]
