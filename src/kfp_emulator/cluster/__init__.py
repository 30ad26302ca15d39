"""The modelled Kubernetes cluster: controllers, pods, time. It knows nothing of the API server before it."""
