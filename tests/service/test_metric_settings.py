"""`[[endpoints]]` tables, and codes that become labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.service.metric_settings import EndpointSetting, endpoint_settings
from stream.service.settings import SettingsError, load


def test_endpoints_are_tables_of_the_toml_file(tmp_path: Path) -> None:
    file = tmp_path / "callstream.toml"
    file.write_text(
        '[[endpoints]]\nname = "ivr"\nurl = "https://app.example.test/voice/*"\n'
        '[[endpoints]]\nname = "status"\nurl = "*/status"\n'
    )
    assert load({"CALLSTREAM_CONFIG": str(file)}).endpoints == (
        EndpointSetting("ivr", "https://app.example.test/voice/*"),
        EndpointSetting("status", "*/status"),
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("ivr", "must be a list of tables, each with `name` and `url`"),
        ('[{"name":"a"}]', "must be a list of tables, each with `name` and `url`"),
        ('[{"name":"a","url":"*","more":1}]', "must be a list of tables, each with `name` and `url`"),
        ('[{"name":"","url":"*"}]', "table 1: name must be letters, digits, spaces and ._/-, at most 64"),
        ('[{"name":"a","url":"*"},{"name":"b","url":"app/x"}]', "table 2: url must begin with https://"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(value: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace(".", r"\.").replace("*", r"\*")):
        endpoint_settings(value)


def test_without_tables_there_are_none() -> None:
    assert endpoint_settings("") == ()


def test_there_are_at_most_50_endpoints() -> None:
    with pytest.raises(ValueError, match="at most 50 tables"):
        endpoint_settings("[" + ",".join(51 * ['{"name":"a","url":"*"}']) + "]")


def test_codes_are_words_and_few() -> None:
    found = load(
        {"CALLSTREAM_METRIC_ERROR_CODES": "13224, 11200,13224", "CALLSTREAM_METRIC_SIP_CODES": "404"}
    )
    assert (found.metric_error_codes, found.metric_sip_codes) == (("13224", "11200"), ("404",))
    for wrong in ("a b", "x" * 17, ",".join(map(str, range(101)))):
        with pytest.raises(SettingsError, match="must be at most 100 codes of letters and digits"):
            load({"CALLSTREAM_METRIC_ERROR_CODES": wrong})
