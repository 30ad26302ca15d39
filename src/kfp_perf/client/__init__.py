"""The client of the KFP API: the protocol that runners and observers use, and its implementation over REST."""

from kfp_perf.client.protocol import KfpClient, ListQuery, Operator, Predicate
from kfp_perf.client.rest import RestClient
from kfp_perf.client.target import check_target, is_loopback

__all__ = [
    "KfpClient",
    "ListQuery",
    "Operator",
    "Predicate",
    "RestClient",
    "check_target",
    "is_loopback",
]
