"""The modelled Kubernetes cluster: controllers, pods, time. It does not depend on the API server."""
