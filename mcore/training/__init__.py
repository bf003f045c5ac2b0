"""Training on the torch engine: `mcore train`, and the same from Python."""
