"""The v2beta1 API, one file a resource."""
