"""Keys of etcd that open the database or weaken TLS."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward.combinations import judge
from etcd_steward.config_keys import weakened
from etcd_steward.configuration import advise
from etcd_steward.settings import Settings, read_settings

LOCAL = ["127.0.0.1", "127.1.2.3", "localhost", "[::1]"]
ABROAD = [
    "0.0.0.0",
    "192.0.2.1",
    "[::]",
    "[2001:db8::1]",
    "127.0.0.1.example.org",
    "localhost.example.org",
    "n1",
]


@given(
    st.sampled_from(["HTTP://", "http://"]),
    st.sampled_from(LOCAL + ABROAD),
    st.integers(1, 65535),
    st.booleans(),
    st.sampled_from(["listen-client-http-urls", "listen-metrics-urls"]),
)
def test_d6_a_url_without_tls_opens_something_in_either_form_unless_only_metrics_on_loopback(
    scheme: str, host: str, port: int, listed: bool, key: str
) -> None:
    urls = ["https://192.0.2.1:1", f"{scheme}{host}:{port}"]
    weak = weakened({key: urls if listed else ",".join(urls)})
    assert bool(weak) == (key == "listen-client-http-urls" or host in ABROAD)
    assert weakened({key: urls[:1]}) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cors", "*"),
        ("cors", ["https://example.org", "*"]),
        ("enable-pprof", True),
        ("cipher-suites", ["TLS_AES_128_GCM_SHA256", "TLS_RSA_WITH_RC4_128_SHA"]),
        ("unsafe-whatever-comes", True),
    ],
)
def test_d6_what_opens_the_database_or_weakens_tls_needs_a_consent_and_stays_in_the_report(
    key: str, value: object
) -> None:
    extra = {key: value}
    assert any(text.startswith(key) for text in advise(extra))
    without, _ = read_settings("n1", {"etcd_config": extra})
    told = judge("n1", without or Settings(etcd_config=extra))
    assert any(f"etcd_config: {key}" in one.found and "etcd_allow_open" in one.next for one in told)
    told = judge("n1", Settings(etcd_config=extra, etcd_allow_open=True))
    assert not any("etcd_allow_open" in one.next for one in told)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tls-min-version", "TLS1.1"),
        ("tls-max-version", "TLS1.0"),
        ("auto-tls", True),
        ("peer-auto-tls", True),
        ("unsafe-no-fsync", True),
        ("client-transport-security", {"client-cert-auth": False}),
    ],
)
def test_d6_no_consent_lets_a_key_through_that_makes_the_promise_void(key: str, value: object) -> None:
    told = judge("n1", Settings(etcd_config={key: value}, etcd_allow_open=True))
    assert any(key in one.found for one in told)
