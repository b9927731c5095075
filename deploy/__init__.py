"""Support files for deployments: what the container images and compose files run beside the services."""
