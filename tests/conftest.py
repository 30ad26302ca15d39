from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

# The collector is a process more for each test that is executed, which half a second of CPU time starts: the
# tests of evidence ask for it.
os.environ.setdefault("KFP_PERF_EVIDENCE", "false")
# Whoever runs the tests may have a cluster, which is none of their business.
os.environ["KUBECONFIG"] = os.devnull
pytest_plugins = ["pytester"]

# Commands under test would write to the page of the step that runs the tests.
os.environ.pop("GITHUB_ACTIONS", None)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Escape lone surrogates, which some tests log: pytest-xdist sends reports as UTF-8, or ends."""
    return _encodable((yield))


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_encodable(one) for one in value)
    return value
