from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import TextIO

import pytest

from kfp_perf.client.auth import Credentials
from kfp_perf.config import TestConfig
from kfp_perf.log import LOG_COLORS, REQUESTS, Logger, Redactor, correlation_id, wants_colours

TOKEN = "eyJhbGciOi.planted"
COOKIE = "authservice_session=MTY5; other=2"
PASSWORD = "hunter2-planted"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def outputs(folder: Path, console: io.StringIO) -> list[str]:
    return [console.getvalue(), (folder / "t.log").read_text(), (folder / "t.jsonl").read_text()]


def test_no_handler_ever_shows_a_secret(tmp_path: Path) -> None:
    console = io.StringIO()
    with Logger("DEBUG", console=console, secrets=[TOKEN, COOKIE]) as logger:
        logger.write_to(tmp_path, "t.log", 100_000, 1)
        log = logging.getLogger("kfp_perf.client")
        log.info("the token is %s", TOKEN)
        log.info("Authorization: Bearer abc.def-planted")
        log.warning({"Cookie": COOKIE, "password": PASSWORD})
        log.log(REQUESTS, "Cookie: %s", COOKIE)
        log.error("password=%s&token=%s", PASSWORD, TOKEN)
        try:
            raise RuntimeError(f"cannot log in with {TOKEN}, password: {PASSWORD}")
        except RuntimeError:
            log.exception("failed")
        logging.getLogger("asyncio").error("Set-Cookie: a=planted; b=planted")
    for text in outputs(tmp_path, console):
        assert "planted" not in text
        assert "MTY5" not in text
        assert text.count("[hidden]") >= 7
        assert "RuntimeError" in text


def test_a_renewed_token_is_hidden_too() -> None:
    redact = Redactor(["first-secret"])
    redact.add("second-secret", "")
    assert redact("first-secret second-secret x") == "[hidden] [hidden] x"


def test_the_token_of_a_file_is_hidden_and_so_is_the_one_after_it(tmp_path: Path) -> None:
    console = io.StringIO()
    file = tmp_path / "token"
    with Logger("INFO", console=console):
        file.write_text("first-planted")
        credentials = Credentials(TestConfig(KFP_TOKEN_FILE=file, KFP_COOKIE="session=cookie-planted"))
        file.write_text("the-second-planted")
        assert credentials.renew()
        logging.getLogger("kfp_perf").info("first-planted, the-second-planted and cookie-planted")
    assert console.getvalue().endswith("[hidden], [hidden] and [hidden]\n")


def test_what_is_no_secret_stays() -> None:
    text = "GetRun failed (HTTP 404): Run 5f1c not found; pipeline tokenizer-v2, 12 tokens/s"
    assert Redactor()(text) == text


def test_setting_up_twice_writes_each_line_once(tmp_path: Path) -> None:
    console = io.StringIO()
    first = Logger("INFO", console=console)
    with Logger("INFO", console=console) as second:
        second.write_to(tmp_path, "t.log", 100_000, 1)
        logging.getLogger("kfp_perf").info("once")
    first.close()
    for text in outputs(tmp_path, console):
        assert text.count("once") == 1


def test_all_that_was_logged_is_written_at_the_end() -> None:
    console = io.StringIO()
    with Logger("INFO", console=console) as logger:
        for number in range(2000):
            logging.getLogger("kfp_perf").info("line %d", number)
        logger.flush()
        assert "line 1999" in console.getvalue()
        logging.getLogger("kfp_perf").info("last")
    assert console.getvalue().endswith("last\n")


def test_levels_and_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    console = Terminal()
    with Logger("REQUESTS", console=console):
        log = logging.getLogger("kfp_perf")
        log.debug("unseen")
        log.log(REQUESTS, "request")
        log.info("info")
        log.warning("warning")
        log.error("error")
    lines = console.getvalue().splitlines()
    levels = ("REQUESTS", "INFO", "WARNING", "ERROR")
    assert [line.partition("m")[0] + "m" for line in lines] == [LOG_COLORS[level] for level in levels]
    assert "REQUESTS" in lines[0]


def test_colours_only_on_a_terminal_that_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert wants_colours(Terminal())
    assert not wants_colours(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colours(Terminal())


def test_json_lines_carry_the_correlation_id(tmp_path: Path) -> None:
    with Logger("INFO", console=io.StringIO()) as logger:
        logger.write_to(tmp_path, "t.log", 100_000, 1)
        token = correlation_id.set("steady-load")
        logging.getLogger("kfp_perf").info("hello")
        correlation_id.reset(token)
    line = json.loads((tmp_path / "t.jsonl").read_text())
    assert (line["correlation"], line["message"], line["level"]) == ("steady-load", "hello", "INFO")


def test_the_file_is_rotated_and_no_more_are_kept_than_asked_for(tmp_path: Path) -> None:
    with Logger("INFO", console=io.StringIO()) as logger:
        logger.write_to(tmp_path, "t.log", 1024, 2)
        for number in range(200):
            logging.getLogger("kfp_perf").info("a line of some length, number %d", number)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("t.log")) == [
        "t.log",
        "t.log.1",
        "t.log.2",
    ]


def test_a_record_that_cannot_be_formatted_is_not_lost() -> None:
    console = io.StringIO()
    with Logger("INFO", console=console) as logger:
        log = logging.getLogger("kfp_perf.unformatted")
        log.propagate = False  # pytest's own handler would raise
        log.addHandler(logger.entrance)
        log.error("%d things", "no number")
        log.removeHandler(logger.entrance)
    assert "no number" in console.getvalue()


def test_the_console_can_be_diverted_and_given_back() -> None:
    console = io.StringIO()
    seen: list[str] = []

    class Screen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())

    with Logger("INFO", console=console) as logger:
        log = logging.getLogger("kfp_perf")
        log.info("one")
        before = logger.divert_console(Screen())
        log.info("two")
        logger.divert_console(before)
        log.info("three")
    assert seen == ["two"]
    assert "two" not in console.getvalue()
    assert "one" in console.getvalue()
    assert "three" in console.getvalue()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_costs_lines_of_the_file_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.log").symlink_to("/dev/full")
    console = io.StringIO()
    with Logger("INFO", console=console) as logger:
        logger.write_to(tmp_path, "t.log", 0, 1)
        logging.getLogger("kfp_perf").info("still told")
    assert "still told" in console.getvalue()
    assert "still told" in (tmp_path / "t.jsonl").read_text()
    assert capsys.readouterr().err == ""


def test_a_path_that_is_no_text_is_logged_all_the_same(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Logger("INFO", console=io.StringIO()) as logger:
        logger.write_to(tmp_path, "t.log", 100_000, 1)
        logging.getLogger("kfp_perf").info("in %s", "a\udcff.json")
    assert "in a\\udcff.json" in (tmp_path / "t.log").read_text()
    assert capfd.readouterr().err == ""


def test_python_s_loggers_are_left_as_they_were() -> None:
    loggers = [logging.getLogger(name) for name in ("kfp_perf", "asyncio")]
    before = [(one.propagate, one.level, list(one.handlers)) for one in loggers]
    first = Logger("DEBUG", console=io.StringIO())
    with Logger("ERROR", console=io.StringIO()):
        first.close()
        assert not logging.getLogger("asyncio").propagate
    assert [(one.propagate, one.level, one.handlers) for one in loggers] == before
    assert before[1][0]


def test_without_arguments_the_active_log_is_returned() -> None:
    console = io.StringIO()
    with Logger("INFO", console=console) as logger:
        assert Logger() is logger
        logging.getLogger("kfp_perf").info("still the same")
        assert Logger("DEBUG", console=console) is not logger
        assert Logger() is not logger
        Logger().close()
    assert console.getvalue().count("still the same") == 1
    with Logger() as first:
        assert first is not logger


def test_handlers_can_be_changed_in_a_subclass() -> None:
    class Plain(Logger):
        def _configure_console_handler(self, stream: TextIO) -> logging.Handler:
            handler = super()._configure_console_handler(stream)
            handler.setFormatter(logging.Formatter("<%(message)s>"))
            return handler

    console = io.StringIO()
    with Plain("INFO", console=console):
        logging.getLogger("kfp_perf").info("mine")
    assert console.getvalue() == "<mine>\n"


@pytest.mark.parametrize("name", ["runs.log", "runs.jsonl", "runs", ".jsonl", "x.jsonl.jsonl"])
def test_text_and_json_never_go_to_one_file(tmp_path: Path, name: str) -> None:
    with Logger("INFO", console=io.StringIO()) as logger:
        logger.write_to(tmp_path, name, 100_000, 1)
        logging.getLogger("kfp_perf").info("hello")
    (other,) = set(tmp_path.iterdir()) - {tmp_path / name}
    assert (tmp_path / name).read_text().endswith("hello\n")
    assert json.loads(other.read_text())["message"] == "hello"
