"""Settings: from the environment, from a file, and never by guess."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from stream.runtime.settings import Settings, SettingsError, load, table, variable

README = Path(__file__).parent.parent.parent / "README.md"


def test_nothing_set_gives_the_defaults_and_the_users_cache() -> None:
    assert load({"XDG_CACHE_HOME": "/cache"}) == Settings(cache_dir=Path("/cache/callstream"))


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
        ("CALLSTREAM_TOPIC_PREFIX", "calls"),
        ("CALLSTREAM_TOPIC_PREFIX", "calls /."),
        ("CALLSTREAM_WORKER_LISTEN", "8081"),
        ("CALLSTREAM_PUBLIC_URL", "example.com"),
        ("CALLSTREAM_KAFKA", "kafka"),
        ("CALLSTREAM_DATA_DIR", ""),
    ],
)
def test_a_value_that_cannot_be_used_is_an_error_that_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}={value} must|^{name}= is empty"):
        load({name: value})


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


def test_a_secret_twice_or_from_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="both set"):
        load({"CALLSTREAM_API_TOKEN": "x", "CALLSTREAM_API_TOKEN_FILE": "y"})
    with pytest.raises(SettingsError, match="CALLSTREAM_API_TOKEN_FILE"):
        load({"CALLSTREAM_API_TOKEN_FILE": str(tmp_path / "none")})


def test_what_is_no_secret_has_no_file_variable() -> None:
    with pytest.raises(SettingsError, match="CALLSTREAM_STORE_FILE"):
        load({"CALLSTREAM_STORE_FILE": "/x"})


def test_every_default_would_be_accepted_as_a_value() -> None:
    for about in fields(Settings):
        if about.default not in ("", ()):
            name = variable(about)
            assert getattr(load({name: str(about.default)}), about.name) == about.metadata["read"](
                str(about.default)
            )


def test_the_readme_shows_the_table_as_the_code_has_it() -> None:
    assert table() in README.read_text()
