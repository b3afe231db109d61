"""Secrets in files that every user can read are told; a group is Kubernetes' way and only mentioned."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.cli.checkup.check import Check
from stream.cli.checkup.secret_files import MEND, named_files, secret_files
from stream.service.settings import Settings
from stream.service.tables.account_setting import AccountSetting

OPEN = "{} (CALLSTREAM_TWILIO_AUTH_TOKEN_FILE) can be read by every user of this machine"


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In a file behind a link, as Kubernetes mounts it."""
    file = tmp_path / "..data"
    file.write_text("planted")
    link = tmp_path / "token"
    link.symlink_to(file)
    monkeypatch.setenv("CALLSTREAM_TWILIO_AUTH_TOKEN_FILE", str(link))
    return file


def test_without_files_there_is_nothing_to_say() -> None:
    assert secret_files(Settings()) == []


@pytest.mark.parametrize(
    ("mode", "state", "says"),
    [
        (0o600, "ok", "only their owner may read them"),
        (0o400, "ok", "only their owner may read them"),
        (0o440, "ok", "{} (CALLSTREAM_TWILIO_AUTH_TOKEN_FILE): also the file's group may read it"),
        (
            0o644,
            "warning",
            "{} (CALLSTREAM_TWILIO_AUTH_TOKEN_FILE) can be read by every user of this machine",
        ),
        (
            0o604,
            "warning",
            "{} (CALLSTREAM_TWILIO_AUTH_TOKEN_FILE) can be read by every user of this machine",
        ),
    ],
)
def test_a_file_is_told_by_who_may_read_it(token: Path, mode: int, state: str, says: str) -> None:
    token.chmod(mode)
    (check,) = secret_files(Settings())
    shown = says.format(token.parent / "token")
    assert check == Check("secret files", state, shown, MEND if state == "warning" else "")  # type: ignore[arg-type]
    assert "planted" not in str(check)


def test_a_key_of_tls_is_a_secret_and_its_certificate_is_not(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    for file in (certificate, key):
        file.touch(0o644)
        file.chmod(0o644)
    (check,) = secret_files(Settings(gateway_tls=(certificate, key)))
    assert check.says == f"{key} (CALLSTREAM_GATEWAY_TLS) can be read by every user of this machine"
    (check,) = secret_files(Settings(kafka_cert_file=certificate, kafka_key_file=key))
    assert check.says == f"{key} (CALLSTREAM_KAFKA_KEY_FILE) can be read by every user of this machine"


def test_the_file_of_a_further_account_is_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "europe"
    file.write_text("planted")
    file.chmod(0o644)
    account = AccountSetting(provider="twilio", id="AC1", secret="planted", secret_file=str(file))
    (check,) = secret_files(Settings(poll_accounts=(account,)))
    assert check.says == f"{file} (secret_file of poll_accounts 1) can be read by every user of this machine"


def test_a_settings_file_counts_where_a_secret_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "callstream.toml"
    monkeypatch.setenv("CALLSTREAM_CONFIG", str(file))
    table = '[[poll_accounts]]\nprovider = "twilio"\nid = "AC1"\n'
    for harmless in ('store = "memory"\n', f'{table}secret_file = "/run/secret"\n'):
        file.write_text(harmless)
        assert named_files() == {}
    file.write_text(f'{table}secret = "planted"\n')
    assert named_files() == {"CALLSTREAM_CONFIG": file}
    file.write_text('store = "memory"\n')
    assert named_files() == {}
    file.write_text('telnyx_api_key = "KEY"\ntwilio_api_secret_file = "/run/secret"\n')
    assert named_files() == {
        "CALLSTREAM_CONFIG": file,
        "CALLSTREAM_TWILIO_API_SECRET_FILE": Path("/run/secret"),
    }
