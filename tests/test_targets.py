from __future__ import annotations

import logging
import pickle
from typing import TYPE_CHECKING, Annotated

import pytest
from pydantic import Field, SecretStr

from kfp_perf.config import TestConfig, variable_name
from kfp_perf.errors import InputError
from kfp_perf.log import Logger
from kfp_perf.targets import OF_ITS_USE, OF_THE_TARGET, resolve_target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[..., TestConfig]


class GatewayConfig(TestConfig):
    gateway_key: SecretStr | None = None
    region: Annotated[str, Field(pattern="^[a-z]+$")] = "eu"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in TestConfig.model_fields:
        monkeypatch.delenv(variable_name(TestConfig, field), raising=False)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the file of targets, and return a configuration that names it."""

    def with_content(text: str, mode: int = 0o600) -> TestConfig:
        path = tmp_path / "targets.toml"
        path.write_text(text)
        path.chmod(mode)
        return TestConfig.from_environment(targets=path)

    return with_content


def refused(text: str, config: TestConfig) -> list[tuple[str, str, str]]:
    """The problems of a target, without the folder of the file."""
    with pytest.raises(InputError) as caught:
        resolve_target(text, config)
    return [
        (problem.where.removeprefix(f"{config.targets}: "), problem.what, problem.remedy)
        for problem in caught.value.problems
    ]


def test_a_table_sets_what_it_says(write: Write, tmp_path: Path) -> None:
    config = write(
        """
        [staging]
        url = "https://kubeflow.example.com/pipeline"
        namespace = "team-a"
        kubeflow = true
        token = { file = "token" }
        user = "me@example.com"
        user_header = "x-user"
        ca_cert = "ca.pem"
        client_cert = "/etc/client.pem"
        kubeconfig = "kubeconfig"
        kubernetes_context = "staging"
        metrics_urls = { controller = "https://localhost:9090/metrics" }
        run_namespaces = ["team-a", "team-b"]
        ui_url = "https://kubeflow.example.com"
        request_timeout_seconds = 20
        max_connections = 5
        """
    )
    found = resolve_target("staging", config)
    assert found.KFP_url == "https://kubeflow.example.com/pipeline"
    assert (found.NAMESPACE, found.IS_KUBEFLOW_MODE, found.LOCAL) == ("team-a", True, False)
    assert tmp_path / "token" == found.KFP_TOKEN_FILE
    assert (found.KFP_USER, found.KFP_USER_HEADER) == ("me@example.com", "x-user")
    assert tmp_path / "ca.pem" == found.KFP_CA_CERT
    assert str(found.KFP_CLIENT_CERT) == "/etc/client.pem"
    assert (found.KUBECONFIG, found.kubernetes_context) == (str(tmp_path / "kubeconfig"), "staging")
    assert found.metrics_urls == {"controller": "https://localhost:9090/metrics"}
    assert found.run_namespaces == ("team-a", "team-b")
    assert (found.request_timeout_seconds, found.max_connections) == (20.0, 5)
    assert found.KFP_UI_URL == "https://kubeflow.example.com"


def test_host_and_port_make_an_address_too(write: Write) -> None:
    found = resolve_target("b", write('[a]\nurl = "http://a"\n[b]\nhost = "kfp.example.com"\nport = 443'))
    assert found.KFP_url == "https://kfp.example.com:443"


def test_nothing_that_describes_a_target_comes_from_the_environment(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token of one installation is not sent to another one, and its port is not used there."""
    variables = {
        "API_HOST": "production.example.com",
        "API_PORT": "9999",
        "NAMESPACE": "production",
        "isKubeflowMode": "true",
        "local": "true",
        "KFP_TOKEN": "t0ken",
        "KFP_TOKEN_FILE": "/token",
        "KFP_TOKEN_COMMAND": "print-token",
        "KFP_COOKIE": "a=1",
        "KFP_USER": "me",
        "KFP_USER_HEADER": "x-me",
        "KFP_CA_CERT": "/ca",
        "KFP_CLIENT_CERT": "/cert",
        "KFP_CLIENT_KEY": "/key",
        "KFP_UI_URL": "https://production.example.com",
        "KFP_PERF_METRICS_URLS": "controller=https://production.example.com/metrics",
        "KFP_PERF_KUBERNETES_CONTEXT": "production",
        "KFP_PERF_KUBERNETES_URL": "https://production.example.com",
        "KFP_PERF_KUBERNETES_TOKEN": "t0ken",
        "KFP_PERF_RUN_NAMESPACES": "production",
        "KFP_PERF_KFP_NAMESPACE": "production",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KFP_PERF_REQUEST_TIMEOUT_SECONDS", "7")
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("cacheEnabled", "true")
    found = resolve_target("staging", write('[staging]\nurl = "https://staging.example.com"'))
    assert found.KFP_url == "https://staging.example.com"
    fields = {*OF_THE_TARGET.values(), "KFP_TOKEN_FILE", "KFP_TOKEN_COMMAND"} - {"KFP_API_HOST"}
    assert {variable_name(TestConfig, field) for field in fields} == variables.keys() - {"API_HOST"}
    defaults = {field: TestConfig.model_fields[field].default for field in fields}
    assert {field: getattr(found, field) for field in fields} == defaults
    assert (found.request_timeout_seconds, found.NO_PROXY, found.CACHE_ENABLED) == (7.0, "*", True)


def test_every_setting_is_one_of_the_configuration() -> None:
    assert {*OF_THE_TARGET.values(), *OF_ITS_USE.values()} <= TestConfig.model_fields.keys()
    assert OF_THE_TARGET.keys().isdisjoint(OF_ITS_USE)


def test_flags_win_over_the_table(write: Write) -> None:
    config = write('[a]\nurl = "http://a"\nnamespace = "team-a"')
    found = resolve_target("a", config, {"NAMESPACE": "team-b", "IS_KUBEFLOW_MODE": None})
    assert (found.NAMESPACE, found.IS_KUBEFLOW_MODE) == ("team-b", False)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://kfp.example.com/pipeline/", "https://kfp.example.com/pipeline"),
        ("http://localhost:8888", "http://localhost:8888"),
        ("kfp.example.com:443", "https://kfp.example.com:443"),
        ("[::1]:8888", "http://[::1]:8888"),
    ],
)
def test_an_address_is_a_target_and_needs_no_file(
    text: str, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("API_PORT", "9999")
    monkeypatch.setenv("KFP_USER", "me")
    config = TestConfig.from_environment(targets=tmp_path / "none.toml")
    found = resolve_target(text, config)
    assert (found.KFP_url, found.KFP_USER) == (url, "me")


def test_an_address_that_is_wrong_is_refused_without_its_password() -> None:
    ((where, what, _),) = refused("https://me:planted@kfp", TestConfig())
    assert where == "--target"
    assert "planted" not in what


def test_secrets_are_references(write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STAGING_TOKEN", "from-a-variable")
    (tmp_path / "cookie").write_text("session=from-a-file\n")
    config = write(
        """
        [staging]
        url = "https://kfp"
        token = { env = "STAGING_TOKEN" }
        cookie = { file = "cookie" }
        https_proxy = { command = ["printf", "http://me:from-a-command@proxy:3128"] }
        [by-command]
        url = "https://kfp"
        token = { command = "print-token --for 'the staging'" }
        """
    )
    found = resolve_target("staging", config)
    assert SecretStr("from-a-variable") == found.KFP_TOKEN
    assert SecretStr("session=from-a-file") == found.KFP_COOKIE
    assert SecretStr("http://me:from-a-command@proxy:3128") == found.HTTPS_PROXY
    assert {"from-a-variable", "session=from-a-file", "from-a-command"} <= set(found.secrets)
    other = resolve_target("by-command", config)
    assert other.KFP_TOKEN_COMMAND == ("print-token", "--for", "the staging")
    assert "print-token" not in other.model_dump_json()


@pytest.mark.parametrize(
    "line",
    [
        'token = "planted"',
        'cookie = "session=planted"',
        'https_proxy = "http://me:planted@proxy:3128"',
        'client_key = "-----BEGIN PRIVATE KEY-----planted"',
        'password = "planted"',
        'KFP_TOKEN = "planted"',
        'gateway_secret = "planted"',
    ],
)
@pytest.mark.parametrize("target", ["a", "other"])
def test_a_secret_in_the_file_is_refused_and_not_shown(write: Write, line: str, target: str) -> None:
    config = write(f'[a]\nurl = "https://kfp"\n{line}\n[other]\nurl = "https://other"')
    ((where, what, remedy),) = refused(target, config)
    assert where.startswith("[a] ")
    assert what.startswith("is a secret in a file of settings")
    assert '{ env = "VARIABLE" }' in remedy
    assert "planted" not in f"{where}{what}{remedy}"


def test_a_proxy_without_a_password_is_no_secret(write: Write) -> None:
    found = resolve_target("a", write('[a]\nurl = "https://kfp"\nhttps_proxy = "http://proxy:3128"'))
    assert SecretStr("http://proxy:3128") == found.HTTPS_PROXY


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("token = 5", "is not a reference to a secret"),
        ('token = { env = "A", file = "b" }', "is not a reference to a secret"),
        ('token = { variable = "A" }', "is not a reference to a secret"),
        ("token = { command = [] }", "command is not a text"),
        ("token = { command = [1] }", "command is not a text"),
        ('token = { env = "" }', "env is not a text"),
        ('token = { env = "eyJ.planted" }', "env is not the name of a variable"),
        ('token = { env = "NOT_SET" }', "the environment variable NOT_SET is not set"),
        ('cookie = { file = "missing" }', "cannot be read: No such file or directory"),
        ('cookie = { command = ["false"] }', "false ended with exit code 1"),
        ('cookie = { command = "login \'planted" }', "cannot be split into words: no closing quotation"),
        ('token = { command = "login \'planted" }', "no closing quotation"),
        ('kubernetes_url = "http://k:99999"', "a number from 1 to 65535, not '99999'"),
        ('metrics_urls = { a = "http://[::1" }', "the port in it must be a number"),
        ('namespace = "Team A"', "'Team A': must be the name of a namespace"),
        ("port = 70000", "70000: input should be less than or equal to 65535"),
        ('request_timeout_seconds = "soon"', "'soon': input should be a valid number"),
        ('host = "b"', "has a url and a host"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    write: Write, line: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    ((where, found, _),) = refused("a", write(f'[a]\nurl = "https://kfp"\n{line}'))
    assert where == ("[a]" if line.startswith("host") else f"[a] {line.partition(' ')[0]}")
    assert what in found
    assert "planted" not in found


def test_all_settings_that_are_none_are_named_and_corrected(write: Write) -> None:
    config = write('[a]\nnamespac = "x"\nAPI_HOST = "x"\ntoken_file = "x"\nbanana = 1')
    problems = {where: remedy for where, _, remedy in refused("a", config)}
    assert problems["[a] namespac"] == "Did you mean namespace?"
    assert problems["[a] API_HOST"] == "Did you mean url?"
    assert problems["[a] token_file"].startswith("Write token = {")
    assert problems["[a] banana"].startswith("There are url, host, port")
    assert problems["[a]"].startswith("Add url")


def test_settings_of_a_users_class_are_settings_of_its_targets(write: Write) -> None:
    path = write(
        '[a]\nurl = "https://kfp"\nregion = "us"\ngateway_key = { command = ["printf", "k3y-of-it"] }'
    ).targets
    found = resolve_target("a", GatewayConfig.from_environment(targets=path))
    assert isinstance(found, GatewayConfig)
    assert (found.region, found.gateway_key) == ("us", SecretStr("k3y-of-it"))
    assert "k3y-of-it" in found.secrets


def test_a_name_that_is_not_there_is_corrected(write: Write) -> None:
    ((_, what, remedy),) = refused("stagin", write('[staging]\nurl = "http://s"\n[local]\nurl = "http://l"'))
    assert what == "there is no target 'stagin'"
    assert remedy.startswith("Did you mean staging? It has local, staging.")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[a]\nurl = "http://a"\n[a]\nurl = "http://b"', "names 'a' twice"),
        ("[a\n", "is not TOML"),
        ('url = "http://a"', "url stands in no table"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(write: Write, text: str, what: str) -> None:
    ((_, found, _),) = refused("a", write(text))
    assert what in found


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path: Path) -> None:
    config = TestConfig(targets=tmp_path / "none.toml")
    ((_, what, remedy),) = refused("a", config)
    assert what.endswith("No such file or directory")
    assert "KFP_PERF_TARGETS" in remedy
    config.targets.write_bytes(b'\xef\xbb\xbf[a]\nurl = "http://a"')  # as editors of Windows begin a file
    assert resolve_target("a", config).KFP_url == "http://a"
    config.targets.write_bytes(b"\xff")
    ((_, what, _),) = refused("a", config)
    assert what == "is not a text in UTF-8"


def test_a_file_that_others_can_read_gets_a_warning_once(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write('[a]\nurl = "http://a"', 0o644)
    with Logger("WARNING"):
        for _ in range(2):
            resolve_target("a", config)
    assert capsys.readouterr().err.count("can be read by others: chmod 600") == 1


def test_a_private_file_gets_no_warning(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        resolve_target("a", write('[a]\nurl = "http://a"'))
    assert caplog.messages == []


def test_a_file_that_everyone_can_write_is_refused(write: Write) -> None:
    ((_, what, remedy),) = refused("a", write('[a]\nurl = "http://a"', 0o666))
    assert what.startswith("can be written by every user")
    assert remedy.startswith("chmod 600")


def test_a_target_keeps_the_name_by_which_it_was_chosen(write: Write) -> None:
    config = write('[staging]\nurl = "https://kfp.example.com"\n')
    named = resolve_target("staging", config, {"NAMESPACE": "team-a"})
    assert (named.target_name, named.NAMESPACE) == ("staging", "team-a")
    assert pickle.loads(pickle.dumps(named)).target_name == "staging"
    assert named.model_copy(update={"undecided": "pass"}).target_name == "staging"
    assert resolve_target("https://kfp.example.com", named).target_name == ""
