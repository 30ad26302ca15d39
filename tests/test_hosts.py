"""Every text that a user may take for a host either gives a URL, or a message that says what to write."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_perf.config import TestConfig
from kfp_perf.errors import InputError
from kfp_perf.hosts import Host, parse_host


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("localhost", Host("", "localhost", None, "")),
        (" KFP:8888/ ", Host("", "kfp", 8888, "")),
        ("kfp.svc./pipeline/", Host("", "kfp.svc.", None, "/pipeline")),
        ("https://kf.example.com:443/a/b", Host("https", "kf.example.com", 443, "/a/b")),
        ("Http://ml_pipeline", Host("http", "ml_pipeline", None, "")),
        ("[::1]", Host("", "::1", None, "")),
        ("http://[fe80::1%eth0]:80", Host("http", "fe80::1%eth0", 80, "")),
        ("bücher.example", Host("", "bücher.example", None, "")),
        ("http", Host("", "http", None, "")),
        ("10.0.0.1", Host("", "10.0.0.1", None, "")),
    ],
)
def test_what_can_be_a_host(text: str, host: Host) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("localhost:", "write localhost, or localhost:8888"),
        ("http://localhost:/pipeline", "write localhost, or localhost:8888"),
        ("[::1]:", "write [::1], or [::1]:8888"),
        ("::1", "write [::1]"),
        ("http://fe80::1/x", "write [fe80::1]"),
        ("[localhost]", "IPv6 address"),
        ("[::1]8888", "write [::1]:8888"),
        ("http:/127.0.0.1:8888", "write http://127.0.0.1:8888"),
        ("https:kfp", "write https://kfp"),
        ("https:", "write https://host"),
        ("https://", "has no host"),
        ("http:///kfp", "write http://kfp"),
        ("//kfp:80", "write kfp:80"),
        ("/", "write a host name"),
        ("", "has no host"),
        (":8888", "write localhost:8888"),
        ("me@kfp", "must not hold credentials"),
        ("me:pw@kfp", "must not hold credentials"),
        ("http:/me:pw@kfp", "must not hold credentials"),
        ("kfp:0", "from 1 to 65535, not '0'"),
        ("kfp:65536", "from 1 to 65535"),
        ("kfp:-1", "from 1 to 65535"),
        ("kfp:\uff18\uff18", "from 1 to 65535"),
        ("a:b:c", "from 1 to 65535"),
        ("http://kfp/?x=1", "write http://kfp"),
        ("https://kfp/pipeline/#/runs", "write https://kfp/pipeline"),
        ("https://kfp/pipeline/apis/v2beta1/healthz", "write https://kfp/pipeline"),
        ("a..b", "cannot be a host name"),
        (".", "cannot be a host name"),
        ("-kfp", "cannot be a host name"),
        ("x" * 64, "cannot be a host name"),
        (".".join(["x" * 60] * 5), "cannot be a host name"),
        ("ü" * 64, "cannot be a host name"),
        ("my host", "without blanks"),
        ("kfp\\pipeline", "backslashes"),
        ("ftp://kfp", "http:// or https://"),
        ("${HOST}", "cannot be a host name"),
    ],
)
def test_what_cannot_says_what_to_write(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|has|the port|')") as caught:
        parse_host(text)
    assert words in str(caught.value)
    assert "pw" not in str(caught.value)


@given(
    st.text(alphabet="ab1.:/[]@?#%- ü\\\x00htps", max_size=20), st.sampled_from(["", "http://", "https:/"])
)
def test_any_text_is_refused_in_words_or_gives_a_url(text: str, prefix: str) -> None:
    try:
        config = TestConfig.from_environment(KFP_API_HOST=prefix + text)
    except InputError:
        return
    parts = urlsplit(config.KFP_url)
    assert parts.scheme in {"http", "https"}
    assert parts.hostname
    assert (parts.query, parts.fragment, parts.username) == ("", "", None)
    assert parts.port is None or 1 <= parts.port <= 65535
