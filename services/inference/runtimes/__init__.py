"""Engines that run a model file, and the devices they run it on. The only place that knows onnxruntime and torch."""
