"""Finding a cluster as kubectl does: kubeconfigs with what users have in them, service accounts, URLs."""

from __future__ import annotations

import base64
import json
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml
from certificates import make_certificates, server_context
from fake_cluster import Asked, FakeCluster, refusal
from in_a_loop import in_a_loop

from kfp_perf.config import TestConfig
from kfp_perf.evidence.kubernetes.access import Identity, NoAccess
from kfp_perf.evidence.kubernetes.api import KubernetesApi
from kfp_perf.evidence.kubernetes.find import find_access

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kfp_perf.evidence.kubernetes.access import Access


ANYTHING = msgspec.json.Decoder()


def kubeconfig(user: Any = None, **cluster: Any) -> dict[str, Any]:
    """A kubeconfig with one context, `kind`."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "kind",
        "preferences": {},
        "clusters": [{"name": "kind-cluster", "cluster": {"server": "https://kind.test:6443", **cluster}}],
        "contexts": [
            {"name": "kind", "context": {"cluster": "kind-cluster", "user": "admin", "namespace": "ml"}}
        ],
        "users": [{"name": "admin", "user": user}],
    }


@pytest.fixture
def found(tmp_path: Path) -> Callable[..., Access]:
    """Find the cluster that a kubeconfig names."""

    def find(document: Any, **settings: Any) -> Access:
        path = tmp_path / "config"
        path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
        return find_access(TestConfig(KUBECONFIG=str(path), **settings), {}, tmp_path)

    return find


async def shown(access: Access) -> Identity:
    """What a request shows."""
    assert access.credential is not None
    return await access.credential.identity()


@in_a_loop
async def test_the_current_context_is_used_and_named(found: Callable[..., Access]) -> None:
    access = found(kubeconfig({"token": "secret"}))
    assert access.title == "context kind (https://kind.test:6443)"
    assert (await shown(access)).authorization == "Bearer secret"
    assert "secret" not in repr(access.title)


def test_a_context_that_is_not_there_is_named_with_those_that_are(found: Callable[..., Access]) -> None:
    with pytest.raises(NoAccess, match="the kubeconfig has no context prod") as caught:
        found(kubeconfig(), kubernetes_context="prod")
    assert caught.value.remedy == "It has kind: name one with KFP_PERF_KUBERNETES_CONTEXT."
    broken = kubeconfig()
    broken["contexts"][0]["context"]["user"] = "gone"
    with pytest.raises(NoAccess, match="has no user gone"):
        found(broken)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("a: [", "cannot be read"),
        ("just text", "is no kubeconfig"),
        (kubeconfig(server=""), "has no server"),
        (
            kubeconfig(server="https://[::1"),
            "the server of the cluster kind-cluster in .*: the port in it must be",
        ),
        (kubeconfig(server="https://kind.test:99999"), "a number from 1 to 65535, not '99999'"),
        ({"current-context": "kind", "contexts": 5}, "has no context kind"),
        (
            kubeconfig(**{"insecure-skip-tls-verify": "maybe"}),
            "the cluster kind-cluster in .* cannot be used",
        ),
        (kubeconfig({"client-certificate": "none.crt"}), "a certificate or key that .* names cannot be read"),
        (kubeconfig({"auth-provider": {"name": "gcp"}}), "auth providers of kubeconfigs are not supported"),
        (kubeconfig({"exec": {"command": "x", "interactiveMode": "Always"}}), "needs a terminal"),
        (kubeconfig(None, **{"proxy-url": "socks5://p:1"}), "only http is supported"),
        ({"clusters": []}, "has no current context"),
    ],
)
def test_what_cannot_be_used_is_named(found: Callable[..., Access], document: Any, why: str) -> None:
    with pytest.raises(NoAccess, match=why):
        found(document)


def test_a_line_that_is_no_yaml_is_not_quoted(found: Callable[..., Access]) -> None:
    with pytest.raises(
        NoAccess, match="cannot be read: mapping values are not allowed here in line 3"
    ) as caught:
        found("users:\n- user:\n    token: a-secret: [\n")
    assert "secret" not in caught.value.why


@in_a_loop
async def test_files_are_relative_to_the_kubeconfig_and_nulls_are_nothing(
    found: Callable[..., Access], tmp_path: Path
) -> None:
    made = make_certificates(tmp_path)
    (tmp_path / "token").write_text("from-a-file\n")
    user = {
        "tokenFile": "token",
        "client-certificate": "client.crt",
        "client-key": "client.key",
        "token": None,
    }
    fields = {
        "certificate-authority": "authority.crt",
        "tls-server-name": "kind",
        "proxy-url": "http://proxy:3128",
    }
    access = found(kubeconfig(user, **fields))
    identity = await shown(access)
    assert identity.authorization == "Bearer from-a-file"
    assert identity.certificate == made.client.read_text()
    assert access.authorities == (tmp_path / "authority.crt").read_text()
    assert access.server_name == "kind"
    assert access.proxy is not None
    assert access.proxy.address == "proxy:3128"


@in_a_loop
async def test_data_in_the_kubeconfig_opens_a_connection(
    found: Callable[..., Access], tmp_path: Path
) -> None:
    made = make_certificates(tmp_path)

    def data(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    async def handle(asked: Asked) -> None:
        await asked.answer({"gitVersion": "v1.31.4", "user": asked.fields.get("impersonate-user")})

    async with FakeCluster(handle, server_context(made.server, made.authority)) as cluster:
        user = {"client-certificate-data": data(made.client), "client-key-data": data(made.client_key)}
        fields: Any = {"server": cluster.url, "certificate-authority-data": data(made.authority)}
        access = found(kubeconfig({**user, "as": "auditor"}, **fields))
        assert (await KubernetesApi(access).get("/version", ANYTHING))["gitVersion"] == "v1.31.4"
    assert cluster.asked[0].fields["impersonate-user"] == "auditor"


def test_files_of_a_path_are_merged_and_the_first_wins(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    users_only = {
        "current-context": "",
        "users": [{"name": "admin", "user": {"username": "u", "password": "p"}}],
    }
    first.write_text(yaml.safe_dump(users_only))
    second.write_text(yaml.safe_dump(kubeconfig({"token": "not this one"})))
    config = TestConfig(KUBECONFIG=f"{first}:{tmp_path / 'none'}:{second}")
    access = find_access(config, {}, tmp_path)
    assert access.title == "context kind (https://kind.test:6443)"
    assert access.credential is not None


PLUGIN = """
import json, os, sys
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
if sys.argv[1] == "fail":
    sys.exit("aws: session expired")
if sys.argv[1] == "text":
    print("hello")
    sys.exit()
with open(sys.argv[2], "a") as calls:
    calls.write("called\\n")
status = {"token": f"{os.environ['FLAVOUR']}-{info['spec'].get('cluster', {}).get('server', 'unknown')}"}
if sys.argv[1] == "expired":
    status["expirationTimestamp"] = "2020-01-01T00:00:00Z"
print(json.dumps({"apiVersion": info["apiVersion"], "kind": "ExecCredential", "status": status}))
"""


@pytest.fixture
def plugin(found: Callable[..., Access], tmp_path: Path) -> Callable[..., Access]:
    """The access that an exec plugin gives, which does what its first argument says."""
    (tmp_path / "plugin.py").write_text(PLUGIN)

    def make(does: str, **fields: Any) -> Access:
        given = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": [str(tmp_path / "plugin.py"), does, str(tmp_path / "calls")],
            "env": [{"name": "FLAVOUR", "value": "sweet"}],
            "interactiveMode": "IfAvailable",
            "installHint": None,
            **fields,
        }
        return found(kubeconfig({"exec": given}))

    return make


@in_a_loop
async def test_an_exec_plugin_is_asked_once_and_again_when_its_token_ends(
    plugin: Callable[..., Access], tmp_path: Path
) -> None:
    access = plugin("good", provideClusterInfo=True)
    for _ in range(3):
        assert (await shown(access)).authorization == "Bearer sweet-https://kind.test:6443"
    assert (tmp_path / "calls").read_text().count("called") == 1
    assert access.credential is not None
    access.credential.refused()
    await shown(access)
    assert (tmp_path / "calls").read_text().count("called") == 2
    ends = plugin("expired")
    assert (await shown(ends)).authorization == "Bearer sweet-unknown"
    await shown(ends)
    assert (tmp_path / "calls").read_text().count("called") == 4


@pytest.mark.parametrize(
    ("does", "fields", "why"),
    [
        ("fail", {}, "failed: aws: session expired"),
        ("text", {}, "is no ExecCredential"),
        ("good", {"command": "no-such-plugin"}, "cannot be started: No such file"),
        ("good", {"apiVersion": "client.authentication.k8s.io/v9"}, "are not supported"),
    ],
)
@in_a_loop
async def test_an_exec_plugin_that_fails_is_named(
    plugin: Callable[..., Access], does: str, fields: dict[str, Any], why: str
) -> None:
    with pytest.raises(NoAccess, match=why):
        await shown(plugin(does, **fields))


@in_a_loop
async def test_a_pod_uses_its_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    (tmp_path / "token").write_text("mounted")
    (tmp_path / "ca.crt").write_text("PEM")
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    access = find_access(TestConfig(), environment, tmp_path)
    assert access.server == "https://[fd00::1]:443"
    assert access.authorities == "PEM"
    assert (await shown(access)).authorization == "Bearer mounted"
    with pytest.raises(NoAccess, match="the kubeconfig /dev/null has no current context"):
        find_access(TestConfig(KUBECONFIG="/dev/null"), environment, tmp_path)


def test_without_any_cluster_it_says_what_to_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoAccess, match="none does not exist"):
        find_access(TestConfig(KUBECONFIG=str(tmp_path / "none")), {}, tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    with pytest.raises(NoAccess, match="there is no kubeconfig, and this is no pod of a cluster"):
        find_access(TestConfig(), {}, tmp_path)
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(json.dumps(kubeconfig()))
    assert find_access(TestConfig(), {}, tmp_path).title == "context kind (https://kind.test:6443)"


@in_a_loop
async def test_a_url_needs_no_kubeconfig(tmp_path: Path) -> None:
    async def handle(asked: Asked) -> None:
        if asked.fields.get("authorization") == "Bearer t":
            await asked.answer({"gitVersion": "v1"})
        else:
            await asked.answer(refusal(401, "Unauthorized"), 401)

    async with FakeCluster(handle) as cluster:
        config = TestConfig(kubernetes_url=f"{cluster.url}/", kubernetes_token="t")
        access = find_access(config, {}, tmp_path)
        assert (await KubernetesApi(access).get("/version", ANYTHING))["gitVersion"] == "v1"
        assert access.title == f"{cluster.url}/"
