"""Load profiles to point at a deployment of one's own, and the comparison with other ways to serve a model."""
