from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.config import TestConfig
from kfp_perf.plan import Limits, Plan, make_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC).timestamp()


@pytest.fixture
def config() -> TestConfig:
    return TestConfig.from_environment()


@pytest.fixture
def plan_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: TestConfig) -> Callable[..., Plan]:
    """Makes the plan of a value, or of bytes, in a file `f.json` of the current folder."""
    monkeypatch.chdir(tmp_path)

    def make(value: object, changes: dict[str, Any] | None = None, **options: Any) -> Plan:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        (tmp_path / "f.json").write_bytes(content)
        options.setdefault("limits", Limits())
        return make_plan("f.json", config.model_copy(update=changes or {}), now=NOON, **options)

    return make
