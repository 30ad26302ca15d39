"""A Kubernetes API over the modelled cluster: pods, events, deployments and the resource metrics of components."""
