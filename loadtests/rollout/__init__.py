"""Simulated releases for bench_rollout: versions, the rows they answer, and the real watch on them."""
