from __future__ import annotations

import logging

import pytest
from pydantic import Field

from kfp_perf.config import TestConfig, variable_name
from kfp_perf.errors import InputError


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in TestConfig.model_fields:
        monkeypatch.delenv(variable_name(TestConfig, field), raising=False)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("KFP_PERF_RETIRES", "KFP_PERF_RETRIES"),
        ("kfp_perf_retry", "KFP_PERF_RETRIES"),
        ("KFP_PERF_MAX_CONNECTION", "KFP_PERF_MAX_CONNECTIONS"),
        ("KFP_PERF_REQUEST_TIMEOUT", "KFP_PERF_REQUEST_TIMEOUT_SECONDS"),
        ("KFP_PERF_API_HOST", "API_HOST"),
        ("KFP_PERF_NAMESPACE", "NAMESPACE"),
        ("KFP_PERF_IS_KUBEFLOW_MODE", "isKubeflowMode"),
        ("KFP_PERF_KFP_TOKEN", "KFP_TOKEN"),
        ("IS_KUBEFLOW_MODE", "isKubeflowMode"),
        ("KFP_API_HOST", "API_HOST"),
        ("CACHE_ENABLED", "cacheEnabled"),
    ],
)
def test_a_misspelt_variable_is_named_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(InputError) as caught:
        TestConfig.from_environment()
    (problem,) = caught.value.problems
    assert problem.where == name
    assert f"Write {nearest}, or" in problem.remedy


def test_it_is_told_together_with_other_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KFP_PERF_RETIRES", "5")
    monkeypatch.setenv("API_PORT", "x")
    with pytest.raises(InputError) as caught:
        TestConfig.from_environment()
    assert {problem.where for problem in caught.value.problems} == {"KFP_PERF_RETIRES", "API_PORT"}


def test_a_name_that_others_use_too_does_no_harm_beside_the_right_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KFP_API_HOST", "elsewhere")
    monkeypatch.setenv("API_HOST", "here")
    assert TestConfig.from_environment().KFP_API_HOST == "here"
    monkeypatch.delenv("API_HOST")
    assert TestConfig.from_environment(KFP_API_HOST="given").KFP_API_HOST == "given"


def test_what_is_close_to_nothing_gets_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class ExtendedTestConfig(TestConfig):
        team: str = Field("none", description="Who runs the test")

    monkeypatch.setenv("KFP_PERF_TEAM", "search")
    with caplog.at_level(logging.WARNING, "kfp_perf"):
        TestConfig.from_environment()
    assert "KFP_PERF_TEAM is not a setting of TestConfig" in caplog.text
    caplog.clear()
    assert ExtendedTestConfig.from_environment().team == "search"
    assert caplog.text == ""


@pytest.mark.parametrize(
    "name",
    [
        "KFP_PERF_SERVICE_HOST",
        "KFP_PERF_SERVICE_PORT",
        "KFP_PERF_SERVICE_PORT_HTTP",
        "KFP_PERF_PORT",
        "KFP_PERF_PORT_80_TCP",
        "KFP_PERF_PORT_80_TCP_ADDR",
    ],
)
def test_what_kubernetes_sets_beside_a_service_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    monkeypatch.setenv(name, "tcp://10.0.0.1:80")
    TestConfig.from_environment()
    assert caplog.text == ""
