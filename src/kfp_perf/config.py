"""Settings: read once from the environment, immutable, passed as arguments.

The variables of the KFP API and of the log have the names that KFP's own tests use; every other field of
`TestConfig` or a subclass is read from `KFP_PERF_<FIELD>`. A value given in the call, as the command line does for
its flags, takes precedence over the environment.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path  # noqa: TC003  pydantic evaluates the annotations
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, get_args
from urllib.parse import unquote

from pydantic import (
    AliasChoices,
    Field,
    PrivateAttr,
    SecretBytes,
    SecretStr,
    ValidationError,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from kfp_perf.environment import misspelt
from kfp_perf.environment_view import EnvironmentView
from kfp_perf.errors import InputError, Problem
from kfp_perf.hosts import parse_host
from kfp_perf.setting_types import (
    Command,
    Folders,
    HeaderName,
    HostText,
    MetricsUrls,
    Names,
    Namespace,
    Paths,
    Port,
    Seconds,
    UpperCase,
    Url,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_log = logging.getLogger(__name__)

LevelName = Literal["DEBUG", "REQUESTS", "INFO", "WARNING", "ERROR", "CRITICAL"]


def _given(field: Any, *names: str, description: str, **constraints: Any) -> Any:
    """Declare a field whose variable has another name; as a keyword the field's own name works too."""
    return Field(field, validation_alias=AliasChoices(*names), description=description, **constraints)


#: Secret only for the credentials in them, which are sent to the proxy and never to the target.
PROXY_FIELDS = frozenset({"HTTP_PROXY", "HTTPS_PROXY"})


class TestConfig(BaseSettings, metaclass=EnvironmentView):
    """The settings of a test and its target; read from the environment, then immutable.

    Subclass it to add settings of your own (`kfp-perf run --config-class package.module:ExtendedTestConfig`).
    """

    __test__: ClassVar[bool] = False
    model_config = SettingsConfigDict(
        env_prefix="KFP_PERF_", frozen=True, populate_by_name=True, extra="ignore", env_ignore_empty=True
    )

    # the target
    KFP_API_HOST: HostText = _given(
        "localhost", "API_HOST", description="Host of the KFP API server; may be a URL with scheme and path"
    )
    KFP_API_PORT: Port = _given(
        8888,
        "API_PORT",
        description="Its port; 443 means https. A URL in API_HOST has its own",
    )
    NAMESPACE: Namespace = _given("kubeflow", "NAMESPACE", description="Namespace that runs belong to")
    IS_KUBEFLOW_MODE: bool = _given(
        False, "isKubeflowMode", description="The target is a multi-user Kubeflow: namespaces are sent"
    )
    LOCAL: bool = _given(False, "local", description="The target is a development one: TLS is not verified")
    CACHE_ENABLED: bool = _given(
        False,
        "cacheEnabled",
        description="Let KFP reuse results of earlier runs; false measures real executions",
    )

    # credentials
    KFP_TOKEN: SecretStr | None = _given(None, "KFP_TOKEN", description="Bearer token")
    KFP_TOKEN_FILE: Path | None = _given(
        None, "KFP_TOKEN_FILE", description="File that holds the bearer token; read again when it changes"
    )
    KFP_TOKEN_COMMAND: Command | None = _given(
        None,
        "KFP_TOKEN_COMMAND",
        description="Command that prints the bearer token, run again when the token expires",
        exclude=True,  # its arguments may hold a secret
    )
    KFP_COOKIE: SecretStr | None = _given(
        None, "KFP_COOKIE", description="Cookie header, as a browser would send it"
    )
    KFP_USER: str | None = _given(
        None, "KFP_USER", description="Value of the user header, for a multi-user server"
    )
    KFP_USER_HEADER: HeaderName = _given(
        "kubeflow-userid", "KFP_USER_HEADER", description="Name of the user header"
    )
    KFP_CA_CERT: Path | None = _given(None, "KFP_CA_CERT", description="Certificate authority to trust, PEM")
    KFP_CLIENT_CERT: Path | None = _given(None, "KFP_CLIENT_CERT", description="Client certificate, PEM")
    KFP_CLIENT_KEY: Path | None = _given(None, "KFP_CLIENT_KEY", description="Its private key, PEM")

    # the way to the target
    HTTP_PROXY: SecretStr | None = _given(
        None, "HTTP_PROXY", description="Proxy for a target of http, as http://host:port"
    )
    HTTPS_PROXY: SecretStr | None = _given(
        None, "HTTPS_PROXY", description="Proxy for a target of https, as http://host:port"
    )
    NO_PROXY: str = _given(
        "", "NO_PROXY", description="Hosts, domains and networks that are reached without a proxy"
    )

    KFP_UI_URL: str | None = _given(
        None,
        "KFP_UI_URL",
        pattern=r"^https?://\S+$",
        description="Address of KFP's pages, for links from the report to runs that are still there",
    )

    # the cluster that runs it
    KUBECONFIG: str | None = _given(
        None,
        "KUBECONFIG",
        description="Kubeconfig of the target's cluster, for evidence; default: ~/.kube/config, and in a pod its "
        "service account",
    )
    kubernetes_context: str | None = Field(
        None, description="Context of the kubeconfig that is the target's cluster; default: the current one"
    )
    kubernetes_url: Url | None = Field(
        None,
        pattern=r"^https?://[^\s/@?#]+(?:/[^\s?#]*)?$",
        description="Address of the cluster's API in place of a kubeconfig, such as that of `kubectl proxy`",
    )
    kubernetes_token: SecretStr | None = Field(None, description="Bearer token for that address")
    run_namespaces: Names = Field(
        (), description="Namespaces of the runs' pods, separated by commas; default: those of the test"
    )
    kfp_namespace: Namespace | None = Field(
        None,
        description="Namespace of KFP's components; default: NAMESPACE, and kubeflow where isKubeflowMode is set",
    )

    # the test
    SCENARIO_FILE_NAME: str = _given(
        "smoke.json", "SCENARIO_FILE_NAME", description="Scenario file: a path, or the name of a built-in one"
    )
    targets: Path = Field(
        default="~/.config/kfp-perf/targets.toml",
        validate_default=True,
        description="File of the targets that `--target` may name",
    )
    results_folder: Path = Field(
        default="results", validate_default=True, description="Where result folders are made"
    )
    pipeline_folders: Folders = Field(
        (), description="More folders to look for pipelines in, separated as those of PATH are"
    )
    baseline: Paths = Field(
        (),
        description="Results that thresholds such as `<= baseline + 10%` are relative to, separated as those of "
        "PATH are",
    )
    undecided: Literal["fail", "pass"] = Field(
        "fail", description="What becomes of such a threshold that cannot be told: fail or pass"
    )
    pool_size: int | None = Field(None, ge=1, le=1000, description="Threads for scenarios; default: one each")

    # requests
    connect_timeout_seconds: Seconds = Field(10.0, description="Longest wait for a connection")
    request_timeout_seconds: Seconds = Field(60.0, description="Longest wait for a whole answer")
    max_connections: int = Field(1000, ge=1, description="Connections at most, for each scenario")
    retries: int = Field(
        3, ge=0, le=20, description="Repetitions at most of a call of set-up, observation or clean-up"
    )
    load_retries: int = Field(0, ge=0, le=20, description="Repetitions at most of a call of the load")
    outage_limit_seconds: Seconds = Field(
        60.0, description="How long the target may stay away before the test ends"
    )
    cleanup_timeout_seconds: Seconds = Field(
        300.0, description="Longest time in which the clean-up deletes nothing before it gives up"
    )

    keep: Literal["nothing", "failed", "all"] = Field(
        "nothing", description="What to leave on the server at the end: nothing, failed runs, or all"
    )

    # evidence
    evidence: bool = Field(
        True,
        description="Collect what the server, controllers and pods do meanwhile, in a process beside the load",
    )
    evidence_interval_seconds: float = Field(
        5.0, ge=1.0, le=300.0, description="Time from one look at metrics to the next"
    )
    metrics_urls: MetricsUrls = Field(
        {},
        description="Prometheus endpoints beside the API server's, as name=URL, separated by commas; the name "
        "controller is Argo's workflow controller, scheduledworkflow KFP's",
    )

    # the log
    LOG_LEVEL: Annotated[LevelName, UpperCase] = _given(
        "INFO", "log_level", description="Least severe level that is logged; REQUESTS shows every request"
    )
    log_directory: Path | None = _given(
        None, "log_directory", description="Folder of the log; default: the result's"
    )
    log_file_name: str = _given(
        "kfp-perf.log", "log_file_name", pattern=r"^[^/\\]+$", description="File name of the log"
    )
    maximum_logfile_bytes: int = _given(
        10_485_760, "maximum_logfile_bytes", ge=1024, description="Size at which a log file is rotated"
    )
    rotating_log_count: int = _given(
        5, "rotating_log_count", ge=1, description="Rotated log files that are kept"
    )

    #: The name of the target in the targets file; empty where it was given by its address.
    _target_name: str = PrivateAttr("")

    @property
    def target_name(self) -> str:
        """The name by which the target was chosen; empty where it was given by its address."""
        return self._target_name

    def of_target(self, name: str) -> Self:
        """Return the same settings, of the target with this name."""
        named = self.model_copy()
        named._target_name = name
        return named

    @property
    def KFP_url(self) -> str:  # noqa: N802  the name is given
        """The API server's base URL: scheme, host, port, and path if there is one; no slash at the end."""
        host = parse_host(self.KFP_API_HOST)
        if host.port is None and (not host.scheme or "KFP_API_PORT" in self.model_fields_set):
            host = replace(host, port=self.KFP_API_PORT)
        scheme = host.scheme or ("https" if host.port == 443 else "http")
        return f"{scheme}://{host.authority}{host.path}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must not appear in any output; of a proxy only its credentials."""
        found: list[str] = []
        for name in type(self).model_fields:
            if not isinstance(value := getattr(self, name), SecretStr):
                continue
            text = value.get_secret_value()
            if name in PROXY_FIELDS:
                text = text.rpartition("@")[0].rpartition("://")[2]
                found.append(unquote(text.partition(":")[2]))
            found.append(text)
        return tuple(filter(None, found))

    @classmethod
    def from_environment(cls, **given: Any) -> Self:
        """Read the environment; a value `given` that is not None wins.

        Raises `InputError` with every problem, misspelt variables included. A variable that begins with
        KFP_PERF_ and is close to no setting gets a warning in the log.
        """
        given = {name: value for name, value in given.items() if value is not None}
        variables = {field: variable_name(cls, field) for field in cls.model_fields if field not in given}
        problems, unknown = misspelt(os.environ, variables, str(cls.model_config.get("env_prefix")))
        for name in unknown:
            _log.warning("%s is not a setting of %s, and has no effect", name, cls.__name__)
        try:
            config = cls.with_values(given)
        except InputError as error:
            raise InputError([*problems, *error.problems]) from None
        if problems:
            raise InputError(problems)
        return config

    @classmethod
    def with_values(cls, values: Mapping[str, Any]) -> Self:
        """Return the settings with these values by field, None included; the others are of the environment.

        Raises `InputError` with every problem, each at the variable of its field.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise InputError(
                Problem(*_explain(fault, cls, _field_of(cls, fault["loc"]))) for fault in error.errors()
            ) from None


def variable_name(model: type[TestConfig], field: str) -> str:
    """Return the environment variable that a field is read from."""
    alias = model.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return f"{model.model_config.get('env_prefix', '')}{field}".upper()


def _field_of(model: type[TestConfig], location: tuple[int | str, ...]) -> str:
    first = str(location[0]) if location else ""
    by_variable = {variable_name(model, field).lower(): field for field in model.model_fields}
    return by_variable.get(first.lower(), first)


def is_secret_type(kind: Any) -> bool:
    """Whether the annotation of a field is a secret, or may be one."""
    return kind in {SecretStr, SecretBytes} or any(map(is_secret_type, get_args(kind)))


def _explain(fault: Any, model: type[TestConfig], field: str) -> tuple[str, str, str]:
    """Return variable, problem and remedy for an error of pydantic. A secret's value is never quoted."""
    known = model.model_fields.get(field)
    message = fault["msg"].removeprefix("Value error, ")
    value = fault.get("input")
    # A host with an @ in it has credentials before that.
    hidden = (
        isinstance(value, bool)
        or "@" in str(value)
        or (known is not None and (is_secret_type(known.annotation) or known.exclude))
    )
    shown = f"{value!r}: " if isinstance(value, str | int | float) and not hidden else ""
    return (
        variable_name(model, field) if known else field,
        f"{shown}{message[0].lower()}{message[1:]}",
        "Correct the environment variable, or leave it out for its default.",
    )
