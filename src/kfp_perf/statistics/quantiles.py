"""The quantiles that kfp-perf reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The quantiles of every distribution, and the share of values that each does not exceed.
QUANTILES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
#: The same for requests, of which there are many.
FINE_QUANTILES: Mapping[str, float] = {**QUANTILES, "p99.9": 0.999}
