"""ONNX's operators in torch's functions: the table of words read backwards, one file a family."""
