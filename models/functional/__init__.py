"""Functions on tensors that several models share."""
