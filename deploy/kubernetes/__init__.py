"""What runs inside a Kubernetes cluster beside the services: jobs of the chart in deploy/helm."""
