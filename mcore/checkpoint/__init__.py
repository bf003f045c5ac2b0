"""Weights and models from files: by position, by name, whole."""

from mcore.checkpoint.loading import load_model
from mcore.checkpoint.model_cache import clear_model_cache
from mcore.checkpoint.positions import load_by_position
from mcore.checkpoint.weights import load_weights_file, save_model

__all__ = ["clear_model_cache", "load_by_position", "load_model", "load_weights_file", "save_model"]
