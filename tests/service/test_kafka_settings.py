"""Which settings of TLS and login go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.service.settings import Settings, SettingsError, load, problems

HERE = {"CALLSTREAM_KAFKA": "one:9093", "CALLSTREAM_CACHE_DIR": "/c"}
TLS = {**HERE, "CALLSTREAM_KAFKA_SECURITY": "ssl"}
LOGIN = {**HERE, "CALLSTREAM_KAFKA_SECURITY": "sasl_ssl"}
SCRAM = {**LOGIN, "CALLSTREAM_KAFKA_SASL_MECHANISM": "SCRAM-SHA-256"}
OAUTH = {**LOGIN, "CALLSTREAM_KAFKA_SASL_MECHANISM": "OAUTHBEARER"}
USER = {"CALLSTREAM_KAFKA_SASL_USERNAME": "gateway", "CALLSTREAM_KAFKA_SASL_PASSWORD": "hunter2"}
TOKENS = {
    "CALLSTREAM_KAFKA_OAUTH_TOKEN_URL": "https://login.test/token",
    "CALLSTREAM_KAFKA_OAUTH_CLIENT_ID": "gateway",
    "CALLSTREAM_KAFKA_OAUTH_CLIENT_SECRET": "hunter2",
}


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (
            {"CALLSTREAM_KAFKA_SECURITY": "ssl"},
            "CALLSTREAM_KAFKA_SECURITY=ssl needs CALLSTREAM_KAFKA: the embedded broker is plaintext",
        ),
        (
            {**HERE, "CALLSTREAM_KAFKA_CA_FILE": "/ca"},
            "CALLSTREAM_KAFKA_CA_FILE has no use with CALLSTREAM_KAFKA_SECURITY=plaintext",
        ),
        (
            {**TLS, "CALLSTREAM_KAFKA_CERT_FILE": "/cert"},
            "CALLSTREAM_KAFKA_CERT_FILE and CALLSTREAM_KAFKA_KEY_FILE go together: set both",
        ),
        (
            {**TLS, "CALLSTREAM_KAFKA_SASL_PASSWORD": "hunter2"},
            "CALLSTREAM_KAFKA_SASL_PASSWORD has no use with CALLSTREAM_KAFKA_SECURITY=ssl",
        ),
        (
            {**TLS, "CALLSTREAM_KAFKA_SASL_MECHANISM": "PLAIN"},
            "CALLSTREAM_KAFKA_SASL_MECHANISM has no use with CALLSTREAM_KAFKA_SECURITY=ssl",
        ),
        (
            LOGIN,
            "CALLSTREAM_KAFKA_SECURITY=sasl_ssl needs CALLSTREAM_KAFKA_SASL_MECHANISM: one of PLAIN, "
            "SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER",
        ),
        (
            {**SCRAM, "CALLSTREAM_KAFKA_SASL_USERNAME": "gateway"},
            "CALLSTREAM_KAFKA_SASL_MECHANISM=SCRAM-SHA-256 needs CALLSTREAM_KAFKA_SASL_PASSWORD",
        ),
        (
            {**SCRAM, **USER, "CALLSTREAM_KAFKA_OAUTH_SCOPE": "kafka"},
            "CALLSTREAM_KAFKA_OAUTH_SCOPE has no use with CALLSTREAM_KAFKA_SASL_MECHANISM=SCRAM-SHA-256",
        ),
        (
            {**OAUTH, **TOKENS, "CALLSTREAM_KAFKA_SASL_USERNAME": "gateway"},
            "CALLSTREAM_KAFKA_SASL_USERNAME has no use with CALLSTREAM_KAFKA_SASL_MECHANISM=OAUTHBEARER",
        ),
        (
            {name: value for name, value in {**OAUTH, **TOKENS}.items() if not name.endswith("URL")},
            "CALLSTREAM_KAFKA_SASL_MECHANISM=OAUTHBEARER needs CALLSTREAM_KAFKA_OAUTH_TOKEN_URL",
        ),
        (
            {**HERE, "CALLSTREAM_KAFKA_SECURITY": "tls"},
            "CALLSTREAM_KAFKA_SECURITY=tls must be one of plaintext, ssl, sasl_plaintext, sasl_ssl",
        ),
        (
            {**SCRAM, "CALLSTREAM_KAFKA_SASL_MECHANISM": "GSSAPI", **USER},
            "CALLSTREAM_KAFKA_SASL_MECHANISM=GSSAPI must be one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, "
            "OAUTHBEARER",
        ),
        (
            {**HERE, "CALLSTREAM_REPLICATION": "0"},
            "CALLSTREAM_REPLICATION=0 must be a whole number from 1 to 1000, or -1",
        ),
    ],
)
def test_a_wrong_combination_is_one_sentence(environ: dict[str, str], said: str) -> None:
    assert problems(environ) == [said]
    with pytest.raises(SettingsError):
        load(environ)


def test_what_goes_together_is_taken() -> None:
    files = {"CALLSTREAM_KAFKA_CA_FILE": "/ca", "CALLSTREAM_KAFKA_CERT_FILE": "/cert"}
    found = load({**TLS, **files, "CALLSTREAM_KAFKA_KEY_FILE": "/key"})
    assert (found.kafka_ca_file, found.kafka_cert_file) == (Path("/ca"), Path("/cert"))
    assert load({**SCRAM, **USER}).kafka_sasl_username == "gateway"
    extensions = {"CALLSTREAM_KAFKA_OAUTH_EXTENSIONS": "logicalCluster=lkc-1, identityPoolId=pool-2"}
    found = load({**OAUTH, **TOKENS, **extensions})
    assert found.kafka_oauth_extensions == (("logicalCluster", "lkc-1"), ("identityPoolId", "pool-2"))
    assert load({"CALLSTREAM_CACHE_DIR": "/c"}) == Settings(cache_dir=Path("/c"))


@pytest.mark.parametrize("extensions", ["logical cluster=1", "a", "a=b\x01c"])
def test_an_extension_is_a_name_of_letters_and_a_printable_value(extensions: str) -> None:
    with pytest.raises(SettingsError, match=r"^CALLSTREAM_KAFKA_OAUTH_EXTENSIONS"):
        load({**OAUTH, **TOKENS, "CALLSTREAM_KAFKA_OAUTH_EXTENSIONS": extensions})


def test_the_secrets_are_in_no_repr_and_may_come_from_files(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter2\n")
    of_user = {**USER, "CALLSTREAM_KAFKA_SASL_PASSWORD_FILE": str(file)}
    del of_user["CALLSTREAM_KAFKA_SASL_PASSWORD"]
    of_tokens = {**TOKENS, "CALLSTREAM_KAFKA_OAUTH_CLIENT_SECRET_FILE": str(file)}
    del of_tokens["CALLSTREAM_KAFKA_OAUTH_CLIENT_SECRET"]
    for found in (load({**SCRAM, **of_user}), load({**OAUTH, **of_tokens})):
        assert "hunter2" in (found.kafka_sasl_password, found.kafka_oauth_client_secret)
        assert "hunter2" not in repr(found)
