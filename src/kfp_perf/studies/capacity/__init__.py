"""The highest load that an installation carries, found by a search over constant loads."""

from kfp_perf.studies.capacity.design import CapacitySearch
from kfp_perf.studies.capacity.forecast import Forecast, forecast
from kfp_perf.studies.capacity.scenarios import FROM_SHARE, Searched, background_words, find_searched
from kfp_perf.studies.capacity.search import SearchLimits

__all__ = [
    "FROM_SHARE",
    "CapacitySearch",
    "Forecast",
    "SearchLimits",
    "Searched",
    "background_words",
    "find_searched",
    "forecast",
]
