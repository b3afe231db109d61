"""Settings: from the environment, from a file, and never by guess."""

from __future__ import annotations

from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path

import pytest

from stream.service.settings import Settings, SettingsError, load, problems, variable

PAGE = Path(__file__).parent.parent.parent / "docs" / "settings.md"


def test_nothing_set_gives_the_defaults_and_the_users_cache() -> None:
    assert load({"XDG_CACHE_HOME": "/cache"}) == Settings(cache_dir=Path("/cache/callstream"))


def test_a_user_without_a_home_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may run as a user that its image does not know."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 2)
    assert load({"CALLSTREAM_KAFKA": "kafka:9092"}).kafka == "kafka:9092"


def test_a_variable_sets_its_field() -> None:
    environ = {
        "CALLSTREAM_KAFKA": "one:9092,two:9092",
        "CALLSTREAM_PARTITIONS": "24",
        "CALLSTREAM_SETTLE_S": "1.5",
        "CALLSTREAM_STORE": "rocksdb",
        "CALLSTREAM_TWILIO_AUTH_TOKEN": "new, old",
        "CALLSTREAM_CACHE_DIR": "/c",
        "KAFKA_LIBS": "/opt/kafka/libs",
        "PATH": "/bin",
    }
    assert load(environ) == Settings(
        kafka="one:9092,two:9092",
        partitions=24,
        settle_s=1.5,
        store="rocksdb",
        twilio_auth_token=("new", "old"),
        cache_dir=Path("/c"),
        kafka_libs="/opt/kafka/libs",
    )


def test_an_unknown_variable_is_an_error_that_names_it() -> None:
    with pytest.raises(SettingsError, match=r"^CALLSTREAM_PARTITONS "):
        load({"CALLSTREAM_PARTITONS": "3"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CALLSTREAM_PARTITIONS", "0"),
        ("CALLSTREAM_PARTITIONS", "twelve"),
        ("CALLSTREAM_PARTITIONS", "٣"),
        ("CALLSTREAM_STORE", "redis"),
        ("CALLSTREAM_PRIVACY", "none"),
        ("CALLSTREAM_SETTLE_S", "nan"),
        ("CALLSTREAM_SETTLE_S", "-1"),
        ("CALLSTREAM_SESSION_TIMEOUT_S", "2"),
        ("CALLSTREAM_TWILIO_API_URL", "api.twilio.com"),
        ("CALLSTREAM_TWILIO_INSIGHTS_URL", "https://"),
        ("CALLSTREAM_TWILIO_INSIGHTS_URL", "https://:443"),
        ("CALLSTREAM_TELNYX_API_URL", "https://api.telnyx.com:99999/v2"),
        ("CALLSTREAM_TOPIC_PREFIX", "calls"),
        ("CALLSTREAM_TOPIC_PREFIX", "calls /."),
        ("CALLSTREAM_WORKER_LISTEN", "8081"),
        ("CALLSTREAM_WORKER_LISTEN", "http://127.0.0.1:8081"),
        ("CALLSTREAM_WORKER_LISTEN", "127.0.0.1 :8081"),
        ("CALLSTREAM_WORKER_LISTEN", "127.0.0.1:65536"),
        ("CALLSTREAM_KAFKA", "a:99999,b:9092"),
        ("CALLSTREAM_KAFKA", "a:9092,b:99999"),
        ("CALLSTREAM_DATA_DIR", "~nobody-of-this-name/data"),
        ("CALLSTREAM_RULES", "~nobody-of-this-name/rules.toml"),
        ("CALLSTREAM_GATEWAY_TLS", "~nobody-of-this-name/cert.pem,key.pem"),
        ("CALLSTREAM_PUBLIC_URL", "example.com"),
        ("CALLSTREAM_PUBLIC_URL", "https://example.test/#x"),
        ("CALLSTREAM_UI_URL", "https://example.test/ui/"),
        ("CALLSTREAM_API_URL", "https://example.test/ui"),
        ("CALLSTREAM_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("CALLSTREAM_TRUSTED_PROXIES", "proxy.test"),
        ("CALLSTREAM_BODY_LIMIT_BYTES", "262145"),
        ("CALLSTREAM_UNSIGNED_CALLBACKS", "yes"),
        ("CALLSTREAM_TELNYX_PUBLIC_KEY", "c2hvcnQ="),
        ("CALLSTREAM_TELNYX_PUBLIC_KEY", "-----BEGIN PUBLIC KEY-----"),
        ("CALLSTREAM_TELNYX_TOLERANCE_S", "0"),
        ("CALLSTREAM_KAFKA", "kafka"),
        ("CALLSTREAM_DATA_DIR", ""),
        ("CALLSTREAM_LOG_FORMAT", "xml"),
        ("CALLSTREAM_METRIC_ACCOUNTS", "AC1"),
        ("CALLSTREAM_METRIC_ACCOUNTS", "AC1=a name"),
        ("CALLSTREAM_METRIC_ACCOUNTS", "AC1=a,AC1=b"),
        ("CALLSTREAM_METRIC_ACCOUNTS", ",".join(f"AC{n}=a" for n in range(51))),
        ("CALLSTREAM_METRIC_PROVIDERS", "plivo"),
        ("CALLSTREAM_LOG_LEVEL", "loud"),
        ("CALLSTREAM_LOG_LEVEL", "info,callstream.poller"),
        ("CALLSTREAM_LOG_LEVEL", "aiokafka.conn=debug"),
        ("CALLSTREAM_LOG_LEVEL", "root=debug"),
        ("CALLSTREAM_LOG_LEVEL", "callstream.faust=debug"),
    ],
)
def test_a_value_that_cannot_be_used_is_an_error_that_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}={value} must|^{name}= is empty"):
        load({name: value})


def test_a_file_in_a_home_that_is_not_known_cannot_be_read() -> None:
    with pytest.raises(SettingsError, match=r"^CALLSTREAM_CONFIG=~nobody-of-this-name/x cannot be read"):
        load({"CALLSTREAM_CONFIG": "~nobody-of-this-name/x"})


@pytest.mark.parametrize("url", ["https://me:hush@proxy.example", "https://[::1", "https://a.example/v2?x=1"])
def test_a_base_url_has_nothing_beside_host_and_path(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^CALLSTREAM_TWILIO_API_URL") as raised:
        load({"CALLSTREAM_TWILIO_API_URL": url})
    assert str(raised.value).endswith("must be an http or https URL without user, query and fragment")
    assert "hush" not in str(raised.value)


def test_a_file_of_toml_sets_what_no_variable_does(tmp_path: Path) -> None:
    file = tmp_path / "callstream.toml"
    file.write_text('partitions = 6\nstore = "rocksdb"\nsettle_s = 2.5\ntwilio_auth_token = ["a", "b"]\n')
    found = load({"CALLSTREAM_CONFIG": str(file), "CALLSTREAM_STORE": "memory", "CALLSTREAM_CACHE_DIR": "/c"})
    assert found == Settings(
        partitions=6, store="memory", settle_s=2.5, twilio_auth_token=("a", "b"), cache_dir=Path("/c")
    )


@pytest.mark.parametrize("content", ["colour = 1", "partitions = true", "[twilio]\nsid = 'AC'", "store = "])
def test_a_file_that_cannot_be_used_is_an_error(tmp_path: Path, content: str) -> None:
    file = tmp_path / "callstream.toml"
    file.write_text(content)
    with pytest.raises(SettingsError, match="CALLSTREAM_"):
        load({"CALLSTREAM_CONFIG": str(file)})


def test_a_secret_may_come_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter2\n")
    found = load({"CALLSTREAM_API_TOKEN_FILE": str(file)})
    assert found.api_token == "hunter2"
    assert "hunter2" not in repr(found)


def test_accounts_with_tokens_come_with_commas_from_a_file_of_lines_or_from_toml(
    tmp_path: Path,
) -> None:
    expected = (("AC1", "new="), ("AC1", "old"), ("AC2", "t"))
    file = tmp_path / "tokens"
    file.write_text("AC1=new=\nAC1 = old\n\nAC2=t\n")
    toml = tmp_path / "callstream.toml"
    toml.write_text('twilio_account_tokens = ["AC1=new=", "AC1=old", "AC2=t"]\n')
    for environ in (
        {"CALLSTREAM_TWILIO_ACCOUNT_TOKENS": "AC1=new=, AC1=old,AC2=t"},
        {"CALLSTREAM_TWILIO_ACCOUNT_TOKENS_FILE": str(file)},
        {"CALLSTREAM_CONFIG": str(toml)},
    ):
        found = load(environ)
        assert found.twilio_account_tokens == expected
        assert "old" not in repr(found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CALLSTREAM_TWILIO_ACCOUNT_TOKENS", "AC1=good,hunter2"),
        ("CALLSTREAM_TWILIO_ACCOUNT_TOKENS", "=hunter2"),
        ("CALLSTREAM_TWILIO_SHARED_KEYS", "hunter2="),
        ("CALLSTREAM_PUBLIC_URL", "https://me:hunter2@example.test"),
    ],
)
def test_a_secret_that_cannot_be_used_is_not_in_the_error(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} must") as refused:
        load({name: value})
    assert "hunter2" not in str(refused.value)


def test_all_that_is_wrong_is_said_at_once_and_the_first_as_the_error_says_it(tmp_path: Path) -> None:
    file = tmp_path / "callstream.toml"
    file.write_text('partitions = true\nstore = "redis"\ncolour = 1\n')
    environ = {
        "CALLSTREAM_CONFIG": str(file),
        "CALLSTREAM_KAFKA": "kafka",
        "CALLSTREAM_API_TOKEN": "hunter2",
        "CALLSTREAM_API_TOKEN_FILE": "/x",
        "CALLSTREAM_TWILIO_SHARED_KEYS": "hunter2",
        "CALLSTREAM_PARTITONS": "3",
    }
    found = problems(environ)
    assert [problem.partition(" ")[0] for problem in found] == [
        "CALLSTREAM_PARTITIONS:",
        "CALLSTREAM_KAFKA=kafka",
        "CALLSTREAM_STORE=redis",
        "CALLSTREAM_API_TOKEN",
        "CALLSTREAM_TWILIO_SHARED_KEYS",
        "CALLSTREAM_COLOUR",
        "CALLSTREAM_PARTITONS",
    ]
    assert "hunter2" not in " ".join(found)
    with pytest.raises(SettingsError) as refused:
        load(environ)
    assert str(refused.value) == found[0]
    assert problems({"CALLSTREAM_KAFKA": "a:1"}) == []


def test_proxies_are_networks_and_public_keys_are_checked() -> None:
    key = "6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw="
    found = load(
        {
            "CALLSTREAM_TRUSTED_PROXIES": "10.0.0.0/8, ::1",
            "CALLSTREAM_TELNYX_PUBLIC_KEY": f"{key},{key}",
            "CALLSTREAM_PUBLIC_URL": "https://hooks.example.test:8443/tw",
        }
    )
    assert found.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert found.telnyx_public_key == (key, key)
    assert found.public_url == "https://hooks.example.test:8443/tw"


def test_a_secret_twice_or_from_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="both set"):
        load({"CALLSTREAM_API_TOKEN": "x", "CALLSTREAM_API_TOKEN_FILE": "y"})
    with pytest.raises(SettingsError, match="CALLSTREAM_API_TOKEN_FILE"):
        load({"CALLSTREAM_API_TOKEN_FILE": str(tmp_path / "none")})


def test_what_is_not_a_secret_has_no_file_variable() -> None:
    with pytest.raises(SettingsError, match="CALLSTREAM_STORE_FILE"):
        load({"CALLSTREAM_STORE_FILE": "/x"})


def test_every_default_would_be_accepted_as_a_value() -> None:
    for about in fields(Settings):
        if about.default not in ("", (), None):
            default = about.default
            text = ",".join(default) if isinstance(default, tuple) else str(default)
            loaded = load({variable(about): text})
            assert getattr(loaded, about.name) == about.metadata["read"](text)


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        ("KAFKA", "all"),
        ("TWILIO_AUTH_TOKEN", "gateway, poller"),
        ("SETTLE_S", "worker, poller"),
        ("STORE", "worker"),
        ("SIMULATE_LISTEN", "simulator"),
    ],
)
def test_the_page_lists_each_setting_once_with_the_roles_that_read_it(name: str, roles: str) -> None:
    (row,) = [row for row in PAGE.read_text().splitlines() if row.startswith(f"| `CALLSTREAM_{name}`")]
    assert row.endswith(f" | {roles} |")
