"""Compiled pipelines (IR), read as KFP's API server reads them."""
