from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pytest
from pydantic import Field, SecretStr, ValidationError

from kfp_perf.config import TestConfig, variable_name
from kfp_perf.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in TestConfig.model_fields:
        monkeypatch.delenv(variable_name(TestConfig, field), raising=False)


def test_the_defaults_are_those_of_the_architecture() -> None:
    config = TestConfig.from_environment()
    assert config.KFP_url == "http://localhost:8888"
    assert (config.NAMESPACE, config.IS_KUBEFLOW_MODE, config.LOCAL, config.CACHE_ENABLED) == (
        "kubeflow",
        False,
        False,
        False,
    )
    assert config.SCENARIO_FILE_NAME == "smoke.json"
    assert config.LOG_LEVEL == "INFO"


def test_every_given_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "API_HOST": "kfp.example.com",
        "API_PORT": "9999",
        "NAMESPACE": "team-a",
        "isKubeflowMode": "true",
        "local": "True",
        "cacheEnabled": "1",
        "SCENARIO_FILE_NAME": "mine.json",
        "log_level": "debug",
        "log_directory": "logs",
        "log_file_name": "a.log",
        "maximum_logfile_bytes": "2048",
        "rotating_log_count": "2",
        "KFP_TOKEN": "t0ken",
        "KFP_PERF_RETRIES": "7",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    config = TestConfig.from_environment()
    assert config.KFP_url == "http://kfp.example.com:9999"
    assert config.NAMESPACE == "team-a"
    assert config.IS_KUBEFLOW_MODE
    assert config.LOCAL
    assert config.CACHE_ENABLED
    assert config.LOG_LEVEL == "DEBUG"
    assert config.log_directory == Path("logs")
    assert (config.log_file_name, config.maximum_logfile_bytes, config.rotating_log_count) == (
        "a.log",
        2048,
        2,
    )
    assert SecretStr("t0ken") == config.KFP_TOKEN
    assert config.retries == 7


@pytest.mark.parametrize(
    ("text", "value"), [("False", False), ("false", False), ("0", False), ("no", False), ("TRUE", True)]
)
def test_booleans_are_parsed_as_booleans(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    monkeypatch.setenv("cacheEnabled", text)
    assert TestConfig.from_environment().CACHE_ENABLED is value


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_PORT", "")
    assert TestConfig.from_environment().KFP_API_PORT == 8888


def test_a_value_given_in_the_call_wins_and_none_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_HOST", "from-environment")
    assert TestConfig.from_environment(KFP_API_HOST="given").KFP_API_HOST == "given"
    assert TestConfig.from_environment(KFP_API_HOST=None).KFP_API_HOST == "from-environment"


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("localhost", None, "http://localhost:8888"),
        ("localhost", 443, "https://localhost:443"),
        ("[::1]", 80, "http://[::1]:80"),
        ("host:1234", None, "http://host:1234"),
        ("https://kf.example.com/pipeline/", None, "https://kf.example.com/pipeline"),
        ("http://kf.example.com:8080/pipeline", None, "http://kf.example.com:8080/pipeline"),
        ("https://kf.example.com/pipeline", 8443, "https://kf.example.com:8443/pipeline"),
        ("HTTPS://[::1]/pipeline", 8443, "https://[::1]:8443/pipeline"),
        ("kfp/pipeline", None, "http://kfp:8888/pipeline"),
    ],
)
def test_the_url_of_the_target(host: str, port: int | None, url: str) -> None:
    assert TestConfig.from_environment(KFP_API_HOST=host, KFP_API_PORT=port).KFP_url == url


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("API_PORT", "abc", "'abc': input should be a valid integer"),
        ("API_PORT", "0", "greater than or equal to 1"),
        ("API_PORT", "65536", "less than or equal to 65535"),
        ("API_HOST", "ftp://host", "http:// or https://"),
        ("API_HOST", "two words", "without blanks"),
        ("API_HOST", "http://me:secret@host", "must not hold credentials"),
        ("API_HOST", "http://host:port/x", "the port in it must be a number"),
        ("API_HOST", "http://host:0", "the port in it must be a number"),
        ("API_HOST", "http://h\x01x", "must be a host name"),
        ("API_HOST", "localhost:", "write localhost, or localhost:8888"),
        ("API_PORT", "tcp://10.0.0.1:80", "enableServiceLinks"),
        ("NAMESPACE", " kubeflow", "such as kubeflow"),
        ("NAMESPACE", "My Team", "such as my-team"),
        ("NAMESPACE", " ", "such as kubeflow"),
        ("NAMESPACE", "a" * 64, "at most 63"),
        ("KFP_USER_HEADER", "user: me\r\nx", "must be the name of a request header"),
        ("KFP_USER_HEADER", "Content-Length", "must be the name of a request header"),
        ("isKubeflowMode", "perhaps", "valid boolean"),
        ("log_level", "LOUD", "'DEBUG', 'REQUESTS', 'INFO'"),
        ("log_file_name", "../x", "match pattern"),
        ("KFP_PERF_REQUEST_TIMEOUT_SECONDS", "inf", "finite number"),
        ("KFP_PERF_KEEP", "some", "'nothing', 'failed' or 'all'"),
    ],
)
def test_a_wrong_value_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InputError) as caught:
        TestConfig.from_environment()
    (problem,) = caught.value.problems
    assert problem.where == variable
    assert words in problem.what


def test_all_wrong_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_PORT", "x")
    monkeypatch.setenv("local", "perhaps")
    with pytest.raises(InputError) as caught:
        TestConfig.from_environment()
    assert {problem.where for problem in caught.value.problems} == {"API_PORT", "local"}


def test_it_is_immutable_and_shows_no_secret() -> None:
    config = TestConfig.from_environment(KFP_TOKEN="s3cret-token")
    with pytest.raises(ValidationError):
        config.retries = 1  # type: ignore[misc]
    assert "s3cret" not in repr(config)
    assert "s3cret" not in str(config.model_dump(mode="json"))
    assert config.secrets == ("s3cret-token",)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KFP_PERF_PASSWORD", "s3cret"),
        ("KFP_PERF_PASSWORDS", '["s3cret"]'),
        ("API_HOST", "http://me:s3cret@host"),
        ("KFP_TOKEN_COMMAND", "login s3cret 'x"),
    ],
)
def test_a_wrong_value_is_not_repeated_where_it_is_secret(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    class ExtendedTestConfig(TestConfig):
        password: SecretStr = Field(SecretStr("long enough"), min_length=10)
        passwords: list[Annotated[SecretStr, Field(min_length=10)]] | None = None

    monkeypatch.setenv(variable, value)
    with pytest.raises(InputError) as caught:
        ExtendedTestConfig.from_environment()
    assert variable in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_subclass_adds_settings_that_the_environment_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    class ExtendedTestConfig(TestConfig):
        team: str = Field("none", description="Who runs the test")

    monkeypatch.setenv("KFP_PERF_TEAM", "search")
    config = ExtendedTestConfig.from_environment()
    assert config.team == "search"
    assert config.KFP_API_PORT == 8888


def test_every_setting_is_described() -> None:
    assert [name for name, field in TestConfig.model_fields.items() if not field.description] == []


def test_folders_are_separated_as_those_of_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "b/c").mkdir(parents=True)
    monkeypatch.setenv("KFP_PERF_PIPELINE_FOLDERS", f"{tmp_path}:{tmp_path}/b/c")
    assert TestConfig.from_environment().pipeline_folders == (tmp_path, tmp_path / "b/c")


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), "No such file"),
        (PermissionError(errno.EACCES, "Permission denied"), "Permission denied"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory"), "Not a directory"),
    ],
)
def test_a_folder_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failure: OSError, reason: str
) -> None:
    def refuse(path: Path) -> Iterator[Path]:
        if path == Path("/root"):
            raise failure
        return iter(())

    monkeypatch.setattr(Path, "iterdir", refuse)
    monkeypatch.setenv("KFP_PERF_PIPELINE_FOLDERS", f"{tmp_path}:/root")
    with pytest.raises(InputError) as caught:
        TestConfig.from_environment()
    (problem,) = caught.value.problems
    assert problem.where == "KFP_PERF_PIPELINE_FOLDERS"
    assert f"the folder /root cannot be read: {reason}" in problem.what


def test_settings_can_be_read_on_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("local", "API_PORT", "KFP_PERF_DEPTH"):
        monkeypatch.delenv(variable, raising=False)
    assert TestConfig.LOCAL is False
    assert TestConfig.KFP_API_PORT == 8888
    monkeypatch.setenv("local", "true")
    monkeypatch.setenv("API_PORT", "9999")
    assert TestConfig.LOCAL is True
    assert TestConfig.KFP_API_PORT == 9999

    class Extended(TestConfig):
        KFP_API_PORT: int = 7777
        depth: int = 3

    assert Extended.depth == 3
    assert Extended.LOCAL is True
    assert Extended.KFP_API_PORT == 7777
    monkeypatch.setenv("KFP_PERF_DEPTH", "4")
    assert Extended.depth == 4
    monkeypatch.delenv("local")
    assert Extended().LOCAL is False, "the environment at the time of the class must not become a default"


def test_settings_on_the_class_are_read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AttributeError, match=r"TestConfig\.LOCAL is read from the environment"):
        TestConfig.LOCAL = True
    with pytest.raises(AttributeError):
        TestConfig.none  # noqa: B018
    monkeypatch.setenv("API_PORT", "none")
    with pytest.raises(InputError, match="API_PORT"):
        TestConfig.KFP_API_PORT  # noqa: B018


@pytest.mark.parametrize(
    ("proxy", "secrets"),
    [
        ("proxy", ()),
        ("http://proxy:3128", ()),
        ("http://me:p%40ss@proxy:3128", ("p@ss", "me:p%40ss")),
        ("me:pa:ss@proxy", ("pa:ss", "me:pa:ss")),
    ],
)
def test_of_a_proxy_only_its_credentials_are_secret(proxy: str, secrets: tuple[str, ...]) -> None:
    assert TestConfig(HTTPS_PROXY=proxy).secrets == secrets
    assert not any(secret in repr(TestConfig(HTTPS_PROXY=proxy)) for secret in secrets)
