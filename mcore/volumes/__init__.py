"""Networks run over images and volumes, tile by tile."""

from mcore.volumes.runner import SimpleInferenceRunner
from mcore.volumes.running import load_and_run_model

__all__ = ["SimpleInferenceRunner", "load_and_run_model"]
