"""Reading from the API of a cluster: heads, credentials, TLS, and everything that may go wrong."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from certificates import make_certificates, server_context
from fake_cluster import Asked, FakeCluster, refusal
from in_a_loop import in_a_loop

from kfp_perf.evidence.kubernetes.access import Access, Identity, NoAccess
from kfp_perf.evidence.kubernetes.api import ApiFault, KubernetesApi
from kfp_perf.evidence.kubernetes.credentials import Fixed, TokenFile, fixed_token

if TYPE_CHECKING:
    from pathlib import Path

ANYTHING = msgspec.json.Decoder()


def api_of(url: str, **fields: Any) -> KubernetesApi:
    """The API at a URL."""
    return KubernetesApi(Access(title="test", server=url, **fields))


async def echo(asked: Asked) -> None:
    """Answer with what was asked."""
    await asked.answer({"path": asked.path, "query": asked.query, "fields": asked.fields})


@in_a_loop
async def test_a_read_sends_path_query_and_credentials() -> None:
    async with FakeCluster(echo) as cluster:
        api = api_of(f"{cluster.url}/k8s/clusters/c-1", credential=fixed_token("secret"))
        found = await api.get("/api/v1/pods", ANYTHING, {"labelSelector": "a in (b)", "limit": 1})
    assert found["path"] == "/k8s/clusters/c-1/api/v1/pods"
    assert found["query"] == {"labelSelector": "a in (b)", "limit": "1"}
    assert found["fields"]["authorization"] == "Bearer secret"
    assert found["fields"]["accept"] == "application/json"


@in_a_loop
async def test_a_refusal_has_the_words_of_kubernetes() -> None:
    async def handle(asked: Asked) -> None:
        await asked.answer(refusal(403, 'pods is forbidden: User "u" cannot list'), 403, Retry_After="7")

    async with FakeCluster(handle) as cluster:
        with pytest.raises(ApiFault) as caught:
            await api_of(cluster.url).get("/api/v1/pods", ANYTHING)
    assert caught.value.why == 'pods is forbidden: User "u" cannot list (403)'
    assert (caught.value.status, caught.value.retry_after_seconds) == (403, 7.0)


@in_a_loop
async def test_a_token_that_is_refused_is_read_again_once(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")

    async def handle(asked: Asked) -> None:
        token.write_text("new")
        if asked.fields["authorization"] == "Bearer new":
            await asked.answer({"ok": True})
        else:
            await asked.answer(refusal(401, "Unauthorized"), 401)

    async with FakeCluster(handle) as cluster:
        api = api_of(cluster.url, credential=TokenFile(token))
        assert await api.get("/version", ANYTHING) == {"ok": True}
        with pytest.raises(ApiFault, match="Unauthorized"):
            await api_of(cluster.url, credential=fixed_token("wrong")).get("/version", ANYTHING)
    assert [one.fields["authorization"] for one in cluster.asked] == [
        *("Bearer old", "Bearer new"),
        *("Bearer wrong", "Bearer wrong"),
    ]


async def _html(asked: Asked) -> None:
    await asked.answer(b"<html>")


async def _not_http(asked: Asked) -> None:
    asked.writer.write(b"SSH-2.0-OpenSSH\r\n")
    await asked.writer.drain()


async def _cut_in_the_body(asked: Asked) -> None:
    asked.writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"items"')
    await asked.writer.drain()


async def _nothing(_request: Asked) -> None:
    return


async def _bad_gateway(asked: Asked) -> None:
    await asked.answer(b"<html>bad gateway</html>", 502)


@pytest.mark.parametrize(
    ("handle", "why"),
    [
        (_html, "the answer cannot be read"),
        (_not_http, "what answered is not HTTP"),
        (_cut_in_the_body, "the connection was cut"),
        (_nothing, "the connection was cut"),
        (_bad_gateway, "the answer is 502"),
    ],
)
@in_a_loop
async def test_what_is_no_good_answer_is_named(handle: Any, why: str) -> None:
    async with FakeCluster(handle) as cluster:
        with pytest.raises(ApiFault, match=why):
            await api_of(cluster.url).get("/api/v1/pods", ANYTHING)


@in_a_loop
async def test_a_token_that_an_answer_repeats_is_not_quoted() -> None:
    async def handle(asked: Asked) -> None:
        await asked.answer({"message": f"no session for {asked.fields['authorization']}"}, 403)

    async with FakeCluster(handle) as cluster:
        api = api_of(cluster.url, credential=fixed_token("a-secret-token"))
        with pytest.raises(ApiFault) as caught:
            await api.get("/version", ANYTHING)
    assert caught.value.why == "no session for Bearer [hidden] (403)"


@in_a_loop
async def test_a_server_that_is_not_there_is_named() -> None:
    async with FakeCluster(echo) as cluster:
        url = cluster.url
    with pytest.raises(ApiFault, match=r"it cannot be reached: .*refused"):
        await api_of(url).get("/version", ANYTHING)


@in_a_loop
async def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handle(_request: Asked) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("kfp_perf.evidence.kubernetes.api._ANSWER_SECONDS", 0.01)
    async with FakeCluster(handle) as cluster:
        with pytest.raises(ApiFault, match="no answer within"):
            await api_of(cluster.url).get("/version", ANYTHING)


@in_a_loop
async def test_a_watch_that_is_silent_ends() -> None:
    async def handle(asked: Asked) -> None:
        await asked.begin()
        await asked.send(b"one\ntw")
        await asked.send(b"o\n\nrest")
        await asyncio.Event().wait()

    async with FakeCluster(handle) as cluster:
        lines = [
            line async for piece in api_of(cluster.url).lines("/api/v1/pods", {}, 0.01) for line in piece
        ]
    assert lines == [b"one", b"two", b""]


class Blocks:
    """An answer of given blocks, which notes when it is left to rest."""

    def __init__(self, *blocks: bytes) -> None:
        self.steps: list[str] = []
        self._blocks = [*blocks, b""]

    async def block(self) -> bytes:
        block = self._blocks.pop(0)
        self.steps.append(f"{len(block)} bytes")
        return block

    async def pause(self, seconds: float) -> None:
        self.steps.append(f"{seconds} s")


@in_a_loop
async def test_a_watch_is_read_in_batches_and_without_a_pause_while_more_is_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = Blocks(b"x" * 10 + b"\n", b"x" * 200_000, b"\n" * 200_000, b"y\n")

    @contextlib.asynccontextmanager
    async def asked(*_: Any) -> Any:
        yield answer

    api = api_of("http://127.0.0.1:1")
    monkeypatch.setattr(api, "_request", asked)
    lines = [line async for piece in api.lines("/api/v1/pods", {}, 1.0) for line in piece if line]
    assert [len(line) for line in lines] == [10, 200_000, 1]
    assert answer.steps == [
        *("11 bytes", "0.1 s", "200000 bytes", "200000 bytes"),
        *("2 bytes", "0.1 s", "0 bytes"),
    ]


@in_a_loop
async def test_tls_is_verified_with_the_clusters_authority(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    authority = made.authority.read_text()
    async with FakeCluster(echo, server_context(made.server)) as cluster:
        assert await api_of(cluster.url, authorities=authority).get("/version", ANYTHING)
        assert await api_of(cluster.url, verified=False).get("/version", ANYTHING)
        with pytest.raises(ApiFault, match="its certificate is not trusted"):
            await api_of(cluster.url).get("/version", ANYTHING)
    async with FakeCluster(echo, server_context(made.other)) as cluster:
        with pytest.raises(ApiFault, match="its certificate is not trusted"):
            await api_of(cluster.url, authorities=authority).get("/version", ANYTHING)


@in_a_loop
async def test_a_clients_certificate_is_shown(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    authority = made.authority.read_text()
    shown = Fixed(Identity("", made.client.read_text(), made.client_key.read_text()))
    async with FakeCluster(echo, server_context(made.server, made.authority)) as cluster:
        api = api_of(cluster.url, authorities=authority, credential=shown)
        assert await api.get("/version", ANYTHING)
        assert await api.get("/version", ANYTHING), "the TLS context is made once"
        with pytest.raises(ApiFault), contextlib.suppress(ConnectionError):
            await api_of(cluster.url, authorities=authority).get("/version", ANYTHING)


def test_certificates_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    access = Access(title="context kind (https://kind)", server="https://kind", authorities="nonsense")
    with pytest.raises(NoAccess, match=r"the certificates of context kind \(https://kind\) cannot be used"):
        access.tls()
    with pytest.raises(NoAccess, match="cannot be used"):
        Access(title="x", server="https://kind").tls(made.client.read_text(), "nonsense")
