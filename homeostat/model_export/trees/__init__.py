"""Tree ensembles of every library in one form, and that form as ONNX."""
