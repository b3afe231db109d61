"""Findings: the part of a refused request that may be shown, in a file of bounded size."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from stream.gateway.diagnose.refused_requests import (
    KEPT,
    Finding,
    add_finding,
    findings_file,
    read_findings,
    shown_path,
)
from stream.service.data_dir import DataDirError


def finding(sentence: str = "No variant fits.", **more: object) -> Finding:
    return Finding(
        time="2026-03-02T10:00:00.000000Z",
        path="/callbacks/twilio",
        provider="twilio",
        reason="bad_signature",
        sentence=sentence,
        **more,  # type: ignore[arg-type]
    )


def test_findings_are_read_as_they_were_kept_the_newest_last(tmp_path: Path) -> None:
    file = findings_file(tmp_path)
    assert read_findings(file) == []
    first, second = finding(settings=("CALLSTREAM_PUBLIC_URL",)), finding("Another one.")
    add_finding(file, first)
    add_finding(file, second)
    assert read_findings(file) == [first, second]


def test_what_was_found_before_is_counted_whatever_the_age_of_the_request(tmp_path: Path) -> None:
    file = findings_file(tmp_path)
    add_finding(file, finding("fits if a request signed 3600 s ago is allowed"))
    add_finding(file, finding("Another one."))
    add_finding(file, finding("fits if a request signed 3605 s ago is allowed"))
    assert read_findings(file) == [
        finding("Another one."),
        finding("fits if a request signed 3605 s ago is allowed", times=2),
    ]


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for number in range(KEPT + 3):
        add_finding(findings_file(tmp_path), finding(f"Sentence {number}."))
    assert [one.sentence for one in read_findings(findings_file(tmp_path))] == [
        f"Sentence {number}." for number in range(3, KEPT + 3)
    ]


def test_many_variants_of_one_kind_do_not_push_out_another(tmp_path: Path) -> None:
    rare = finding("The URL begins with https://.")
    add_finding(findings_file(tmp_path), rare)
    for number in range(KEPT + 3):
        add_finding(
            findings_file(tmp_path), msgspec.structs.replace(finding(f"{number}."), reason="unknown_account")
        )
    found = read_findings(findings_file(tmp_path))
    assert (found[0], found[-1].sentence, len(found)) == (rare, f"{KEPT + 2}.", KEPT)


def test_the_file_is_for_its_owner_alone_also_when_it_was_not_before(tmp_path: Path) -> None:
    file = findings_file(tmp_path)
    file.parent.mkdir()
    file.write_bytes(b"")
    file.chmod(0o644)
    add_finding(file, finding())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["refused.jsonl"]


def test_a_line_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    file = findings_file(tmp_path)
    add_finding(file, finding())
    file.write_bytes(b'{"time": 1}\nno json\n\xff\n' + file.read_bytes() + b'{"time":"2026')
    assert read_findings(file) == [finding()]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/callbacks/twilio", "/callbacks/twilio"),
        ("/callbacks/twilio/+15005550006", "/callbacks/twilio/+***"),
        ("/a\x1b[31m\nb\udcff", "/a?[31m?b?"),
        ("/" + "x" * 200, "/" + "x" * 99 + "…"),
    ],
)
def test_a_path_is_shown_plainly_and_without_numbers(path: str, shown: str) -> None:
    assert shown_path(path) == shown


def test_a_link_in_the_place_of_the_findings_is_not_followed(tmp_path: Path) -> None:
    file = findings_file(tmp_path)
    file.parent.mkdir()
    (tmp_path / "elsewhere").write_bytes(b"{}")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataDirError, match="a symbolic link is in the place of a file"):
        add_finding(file, finding())
    assert (tmp_path / "elsewhere").read_bytes() == b"{}"


def test_findings_are_their_owners_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    file = findings_file(tmp_path)
    add_finding(file, finding())
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path, file.parent, file)]
    assert modes == [0o700, 0o700, 0o600]
