"""The model contract: files, signatures, keys and how a model is run on the CPU."""
