"""A Kubeflow Pipelines API server in one process, with the cluster behind it modelled."""
