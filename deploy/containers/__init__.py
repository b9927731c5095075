"""What containers need beside the services: a probe, the one-shots before the first start, a demo."""
