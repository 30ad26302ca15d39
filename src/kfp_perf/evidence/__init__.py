"""Evidence: what the server, the controllers and the pods did while a test ran, collected beside the load.

SOURCES is the table of sources; each is one file here. `process` starts the collector for a test, which runs in a
process of its own, reads nothing of the load, and writes append-only files into `evidence/` of the result folder.
"""

from __future__ import annotations

from kfp_perf.evidence.endpoints import ENDPOINTS, SERVER
from kfp_perf.evidence.kubernetes import KUBERNETES
from kfp_perf.evidence.source import Sink, Source, SourceFinding

#: The sources, in the order in which they are reported.
SOURCES: tuple[Source, ...] = (SERVER, ENDPOINTS, KUBERNETES)

__all__ = ["SOURCES", "Sink", "Source", "SourceFinding"]
