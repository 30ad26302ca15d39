"""`kfp-perf doctor` against targets that are broken in one way each, and the quick checks before a test."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from certificates import make_certificates, server_context

from kfp_perf.config import TestConfig
from kfp_perf.doctor.checks import CHECKS, check_quickly
from kfp_perf.errors import TargetError
from kfp_perf.execution import EmulatorProcess

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]
    Answers = dict[str, tuple[int, Any]]

HEALTH = {"commit_sha": "abc", "tag_name": "2.17.0", "multi_user": False}
MADE = {"experiment_id": "e-1", "created_at": "2026-01-05T12:00:00Z"}
#: What a single-user server answers, by method and path.
GOOD: Answers = {
    "GET /apis/v2beta1/healthz": (200, HEALTH),
    "GET /apis/v2beta1/experiments": (200, {}),
    "POST /apis/v2beta1/experiments": (200, MADE),
    "DELETE /apis/v2beta1/experiments/e-1": (200, {}),
    "GET /metrics": (200, b"# TYPE go_info gauge\n# TYPE x counter\n"),
}
LOGIN = b"<html><head><title>Sign in</title></head></html>"
DASHBOARD = b"<!DOCTYPE html><html><title>Kubeflow Central Dashboard</title></html>"


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Serve a table of answers; returns the URL. What is not in the table gets `other`."""
    servers: list[ThreadingHTTPServer] = []

    def start(
        answers: Answers | None = None,
        *,
        other: tuple[int, Any] = (404, b"404 page not found\n"),
        tls: ssl.SSLContext | None = None,
        seen: list[str] | None = None,
    ) -> str:
        table = GOOD if answers is None else answers

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = self.path.partition("?")[0]
                if seen is not None:
                    seen.append(f"{self.command} {path}")
                status, body = table.get(f"{self.command} {path}", other)
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/dex/auth")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            # the names of http.server
            do_GET = do_POST = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """A client that leaves in the handshake is what the test is about."""

        server = Server(("127.0.0.1", 0), Answer)
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def _quick_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kfp_perf.doctor.api._BETWEEN_DATES_SECONDS", 0.0)


def _checks(out: str) -> dict[str, str]:
    """Each check's status, from what was printed."""
    lines = (line.split() for line in out.splitlines())
    return {words[1]: words[0] for words in lines if len(words) > 1 and words[1] in CHECKS}


def test_a_healthy_target_passes_every_check_in_their_order(kfp_perf: Call, emulator_url: str) -> None:
    code, out, _ = kfp_perf("doctor", "--host", emulator_url)
    assert code == 0
    assert _checks(out) == dict.fromkeys(CHECKS, "ok")
    assert list(_checks(out)) == list(CHECKS)
    assert "KFP 2.17.0, single-user" in out
    assert out.endswith("\n\nReady for a test.\n")


def test_nothing_is_left_and_nothing_is_written_where_that_is_wanted(
    kfp_perf: Call, serve: Callable[..., str]
) -> None:
    seen: list[str] = []
    url = serve(seen=seen)
    assert kfp_perf("doctor", "--host", url)[0] == 0
    assert seen.count("POST /apis/v2beta1/experiments") == 1
    assert seen.count("DELETE /apis/v2beta1/experiments/e-1") == 1
    seen.clear()
    code, out, _ = kfp_perf("doctor", "--host", url, "--read-only")
    assert code == 0
    assert _checks(out)["create"] == "skipped"
    assert {line.partition(" ")[0] for line in seen} == {"GET"}
    assert "not checked: create" in out.splitlines()[-1]


def _forbidden(what: str) -> dict[str, Any]:
    message = f"User 'me' is not authorized with reason: cannot {what} experiments"
    return {"code": 7, "message": message, "details": [{"code": 7, "message": message}]}


@pytest.mark.parametrize(
    ("answers", "other", "failed", "words"),
    [
        pytest.param({}, (404, b"404 page not found\n"), "path", "host, port and path", id="another server"),
        pytest.param({}, (200, {"status": "ok"}), "healthz", "not a KFP API server", id="another's health"),
        pytest.param({}, (302, b""), "login", "KFP_COOKIE", id="a redirect to a login"),
        pytest.param({}, (200, LOGIN), "path", "“Sign in”", id="a login page"),
        pytest.param({}, (200, DASHBOARD), "path", "https://host/pipeline", id="the dashboard"),
        pytest.param({}, (401, b"Jwt is missing"), "login", "Give KFP_TOKEN", id="no token"),
        pytest.param({}, (403, b"RBAC: access denied"), "login", "roles", id="a mesh that refuses"),
        pytest.param({}, (503, b"no healthy upstream"), "healthz", "no healthy upstream", id="no upstream"),
        pytest.param(
            {**GOOD, "GET /apis/v2beta1/healthz": (200, {**HEALTH, "multi_user": True})},
            (404, b""),
            "server",
            "isKubeflowMode=true",
            id="multi-user",
        ),
        pytest.param(
            {**GOOD, "GET /apis/v2beta1/experiments": (403, _forbidden("list"))},
            (404, b""),
            "list",
            "cannot list experiments",
            id="may not list",
        ),
        pytest.param(
            {**GOOD, "POST /apis/v2beta1/experiments": (403, _forbidden("create"))},
            (404, b""),
            "create",
            "cannot create experiments",
            id="may not create",
        ),
        pytest.param(
            {"GET /pipeline" + line.partition(" ")[2]: answer for line, answer in GOOD.items()},
            (404, b"404 page not found\n"),
            "path",
            "/pipeline",
            id="under another path",
        ),
    ],
)
def test_an_api_that_is_broken(
    kfp_perf: Call, serve: Callable[..., str], answers: Answers, other: Any, failed: str, words: str
) -> None:
    code, out, err = kfp_perf("doctor", "--host", serve(answers, other=other))
    assert code == 3
    assert err == ""
    checks = _checks(out)
    assert [check for check, status in checks.items() if status == "failed"] == [failed]
    assert words in out


def test_a_name_that_does_not_resolve(kfp_perf: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    code, out, _ = kfp_perf("doctor", "--host", "kfp.invalid")
    assert (code, _checks(out)) == (3, {"name": "failed"})
    assert "API_HOST" in out


def test_a_port_that_refuses(kfp_perf: Call) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    code, out, _ = kfp_perf("doctor", "--host", f"http://127.0.0.1:{port}")
    assert (code, _checks(out)) == (3, {"name": "ok", "tcp": "failed"})
    assert "port-forward" in out


def test_a_server_that_never_answers(kfp_perf: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kfp_perf.doctor.checks.CHECK_SECONDS", 0.2)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        code, out, _ = kfp_perf("doctor", "--host", f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert (code, _checks(out)["healthz"]) == (3, "failed")
    assert "time limit" in out
    assert "KFP_PERF_" not in out


def test_https_to_a_port_of_http(kfp_perf: Call, serve: Callable[..., str]) -> None:
    code, out, _ = kfp_perf("doctor", "--host", serve().replace("http:", "https:"))
    assert (code, _checks(out)["tls"]) == (3, "failed")
    assert "This port does not speak TLS: give http://" in out
    assert out.endswith("\n\nNot ready for a test: tls failed.\n")


def test_http_to_a_port_that_closes_the_connection(kfp_perf: Call) -> None:
    """As a server of https does that sends no alert."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def close_each() -> None:
            with contextlib.suppress(OSError):
                while True:
                    listening.accept()[0].close()

        threading.Thread(target=close_each, daemon=True).start()
        code, out, _ = kfp_perf("doctor", "--host", f"http://127.0.0.1:{listening.getsockname()[1]}")
    assert (code, _checks(out)["healthz"]) == (3, "failed")
    assert "not one of https?" in out


def test_a_reader_that_leaves_is_not_a_failure(serve: Callable[..., str]) -> None:
    command = [sys.executable, "-m", "kfp_perf", "doctor", "--host", serve()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_certificates(
    kfp_perf: Call, serve: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = make_certificates(tmp_path)
    url = serve(tls=server_context(certificates.server))
    code, out, _ = kfp_perf("doctor", "--host", url)
    assert (code, _checks(out)["tls"]) == (3, "failed")
    assert "KFP_CA_CERT" in out
    monkeypatch.setenv("KFP_CA_CERT", str(certificates.authority))
    code, out, _ = kfp_perf("doctor", "--host", url)
    # It ends tomorrow.
    assert (code, _checks(out)["tls"]) == (0, "warning")
    assert "TLSv1.3" in out
    code, out, _ = kfp_perf("doctor", "--host", serve(tls=server_context(certificates.expired)))
    assert code == 3
    assert "expired" in out


def test_namespaces_of_a_multi_user_server(kfp_perf: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--multi-user", "--grant", "me@example.com=team-a")
    with EmulatorProcess("fast", options=options) as emulator:
        call = ("doctor", "--host", emulator.url, "--kubeflow", "-n")
        code, out, _ = kfp_perf(*call, "team-a")
        assert (code, _checks(out)["login"]) == (3, "failed")
        monkeypatch.setenv("KFP_USER", "me@example.com")
        code, out, _ = kfp_perf(*call, "team-a")
        assert code == 0
        assert "experiments of team-a" in out
        code, out, _ = kfp_perf(*call, "team-b")
        assert (code, _checks(out)["list"]) == (3, "failed")
        assert "experiments of team-b" in out


def test_a_clock_that_is_wrong_is_measured(kfp_perf: Call, serve: Callable[..., str]) -> None:
    """The stand-in says that it created the experiment long ago."""
    code, out, _ = kfp_perf("doctor", "--host", serve())
    assert (code, _checks(out)["clock"]) == (0, "warning")
    assert "behind" in out
    assert "by a creation" in out


def test_json(kfp_perf: Call, serve: Callable[..., str]) -> None:
    url = serve({}, other=(401, b""))
    code, out, _ = kfp_perf("doctor", "--host", url, "--json")
    document = json.loads(out)
    assert (code, document["ok"], document["url"]) == (3, False, url)
    last = document["checks"][-1]
    assert (last["check"], last["status"], last["kind"]) == ("login", "failed", "401")
    assert last["remedy"]


def test_a_server_that_is_only_slow_is_left_to_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kfp_perf.doctor.checks.QUICK_SECONDS", 0.1)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        assert not check_quickly(TestConfig(KFP_API_HOST=f"http://127.0.0.1:{silent.getsockname()[1]}"))


def test_a_wait_for_a_slow_server_is_said(
    kfp_perf: Call, serve: Callable[..., str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kfp_perf.execution.session.check_quickly", lambda *_: False)
    url = serve({})
    code, _, err = kfp_perf("run", "smoke.json", "--host", url)
    assert code == 3
    assert f"{url} has not answered for 2 s; the test begins when it does" in err


def test_a_test_ends_with_the_quick_checks_where_one_fails(
    kfp_perf: Call, serve: Callable[..., str], folder: Path
) -> None:
    seen: list[str] = []
    url = serve({**GOOD, "GET /apis/v2beta1/experiments": (401, b"")}, seen=seen)
    code, _, err = kfp_perf("run", "smoke.json", "--host", url)
    assert code == 3
    assert "the credentials" in err
    assert "kfp-perf doctor" in err
    assert not (folder / "results").exists()
    assert len(seen) == 2


@pytest.mark.parametrize("path", ["healthz", "experiments"])
def test_one_503_does_not_end_a_test(serve: Callable[..., str], path: str) -> None:
    place = f"GET /apis/v2beta1/{path}"
    answers = iter([(503, b"no healthy upstream")])

    class Table(dict[str, tuple[int, Any]]):
        def get(self, key: str, default: Any = None) -> Any:
            return next(answers, GOOD[key]) if key == place else super().get(key, default)

    assert check_quickly(TestConfig(KFP_API_HOST=serve(Table(GOOD))))


def test_a_server_that_answers_with_an_error_is_not_said_to_be_missing(serve: Callable[..., str]) -> None:
    url = serve({**GOOD, "GET /apis/v2beta1/experiments": (503, b"no healthy upstream")})
    with pytest.raises(TargetError) as raised:
        check_quickly(TestConfig(KFP_API_HOST=url))
    assert str(raised.value).startswith(f"The KFP API server at {url} answered HTTP 503 to ListExperiments")
    url = serve({"GET /apis/v2beta1/healthz": (503, b"no healthy upstream")})
    with pytest.raises(TargetError, match=f"The server at {url} answered HTTP 503 to "):
        check_quickly(TestConfig(KFP_API_HOST=url))


def test_a_multi_user_server_is_not_said_to_be_missing(serve: Callable[..., str]) -> None:
    url = serve({**GOOD, "GET /apis/v2beta1/healthz": (200, HEALTH | {"multi_user": True})})
    with pytest.raises(
        TargetError,
        match=f"The KFP API server at {url} cannot be tested with these settings: .*isKubeflowMode",
    ):
        check_quickly(TestConfig(KFP_API_HOST=url))


def test_the_hint_has_more_checks_on_a_line_of_their_own() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(TargetError) as raised:
        check_quickly(TestConfig(KFP_API_HOST=url))
    assert "works without a cluster\n    `kfp-perf doctor` makes more checks." in str(raised.value)


@pytest.mark.parametrize("quick", [True, False])
def test_a_look_up_that_hangs_is_not_waited_for(
    kfp_perf: Call, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    released = threading.Event()

    def hang(*_: Any, **__: Any) -> Any:
        released.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr("kfp_perf.doctor.checks.QUICK_SECONDS", 0.1)
    monkeypatch.setattr("kfp_perf.doctor.checks.CHECK_SECONDS", 0.1 if not quick else 60.0)
    try:
        if quick:
            check_quickly(TestConfig(KFP_API_HOST="kfp.invalid"))
        else:
            code, out, _ = kfp_perf("doctor", "--host", "kfp.invalid")
            assert (code, _checks(out)) == (3, {"name": "failed"})
            assert "time limit" in out
        assert not released.is_set()
    finally:
        released.set()
