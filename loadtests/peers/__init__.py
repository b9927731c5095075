"""Other ways to serve the same model, as one would write them by hand. Each reads the model file from BENCH_MODEL."""
