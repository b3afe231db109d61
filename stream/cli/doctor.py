"""`callstream doctor`: what is wrong here, why a request was refused, and what to type at the providers.

It only reports and changes nothing. The secrets that it is given to try are never shown.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NoReturn

import click
import msgspec

from stream.cli.checkup import gateway as running
from stream.cli.checkup import providers
from stream.cli.checkup.callbacks import callbacks
from stream.cli.checkup.check import Check
from stream.cli.checkup.cluster import cluster
from stream.cli.checkup.secret_files import secret_files
from stream.cli.support.terminal import Misuse, label, say
from stream.gateway.diagnose.provider_setup import ProviderSetup, setup
from stream.gateway.diagnose.request_capture import LIMIT_BYTES, Capture, CaptureError, read
from stream.gateway.diagnose.signature_doctor import TOO_MANY_PARAMETERS, diagnose
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.public_url import clean_address, client_of
from stream.gateway.receive.request import ParsedRequest, RequestRefusedError, claimed_provider, parse
from stream.gateway.receive.telnyx_signature import TIMESTAMP, public_key, seconds
from stream.gateway.receive.verification import claimed_age_s
from stream.service.settings import Settings, SettingsError, load, problems

_OF_ITS_ACCOUNT = re.compile(r"AC[0-9A-Za-z]+=(.+)")
_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red", "unknown": "cyan"}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
@click.option("--offline", is_flag=True, help="Do not contact the providers.")
@click.option(
    "--request",
    "captured",
    type=click.File("rb"),
    metavar="FILE",
    help="Say why this captured request is refused; - is standard input.",
)
@click.option("--url", "urls", multiple=True, help="With --request: a public URL to try; several times.")
@click.option(
    "--token-file",
    "token_files",
    multiple=True,
    type=click.File("r"),
    metavar="FILE",
    help="With --request: auth tokens to try, one a line.",
)
@click.option("--key", "keys", multiple=True, help="With --request: a public key of Telnyx to try.")
@click.option("--remote", help="With --request: the address that it came from, such as your proxy's.")
@click.option("--print-setup", is_flag=True, help="Print what to type at the providers.")
@click.option(
    "--public-url", help="With --print-setup: where they reach the gateway [CALLSTREAM_PUBLIC_URL]."
)
def command(
    as_json: bool,
    offline: bool,
    captured: Any,
    urls: Sequence[str],
    token_files: Sequence[Any],
    keys: Sequence[str],
    remote: str | None,
    print_setup: bool,
    public_url: str | None,
) -> None:
    """Say what is wrong: settings, broker, topics, clock, providers, refused requests.

    \b
    With --request: which variant of a captured request its signature fits, and the
    setting that mends it. FILE is one of
      - HTTP as it came: POST /callbacks/twilio HTTP/1.1, headers, empty line, body
        (from `nc -l`, `tcpdump -A`, or `curl -v` with the body after the head)
      - JSON: {"method", "url", "headers", "body" or "body_base64"} and, if known,
        "remote" and "received_at"

    With --print-setup: the callback URLs and settings for both providers.

    Exit code 0: nothing is wrong (with --request: its signature fits). 1: something is. 2: the command, the
    file or the settings cannot be read.
    """
    if captured is not None and print_setup:
        raise Misuse("--request and --print-setup are two things: one of them")
    if captured is None and (urls or token_files or keys or remote):
        raise Misuse("--url, --token-file, --key and --remote belong to --request")
    if public_url is not None and not print_setup:
        raise Misuse("--public-url belongs to --print-setup")
    if offline and (captured is not None or print_setup):
        raise Misuse("--offline is for the checks")
    settings = _settings(as_json)
    if print_setup:
        _print_setup(settings, public_url, as_json)
    elif captured is not None:
        _explain(
            captured.read(LIMIT_BYTES + 1),
            _credentials(settings, as_json),
            urls=[_origin(url) for url in urls],
            secrets=[*_tokens(token_files), *(_key(key) for key in keys)],
            remote=None if remote is None else _address(remote),
            as_json=as_json,
        )
    else:
        _check(settings, offline=offline, as_json=as_json)


# ---------------------------------------------------------------- the checks


def _check(settings: Settings, *, offline: bool, as_json: bool) -> None:
    # The check says in one line what aiokafka would log for each failed connection.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    now_s = time.time()
    found = running.lately(settings, now_s)
    checks = [
        Check("settings", "ok", "all can be read"),
        *secret_files(settings),
        *callbacks(settings),
        *asyncio.run(_network_checks(settings, offline=offline)),
        *running.refused(found, now_s),
    ]
    failed = sum(check.state == "failed" for check in checks)
    if as_json:
        _print_json(
            {
                "ok": not failed,
                "checks": [check._asdict() for check in checks],
                "refused": msgspec.to_builtins(list(found or ())),
            }
        )
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            mend = f" — {check.mend}" if check.mend else ""
            label(f"{check.state:<8}", _COLOURS[check.state], f"{check.name:<{width}}  {check.says}{mend}")
    sys.exit(1 if failed else 0)


async def _network_checks(settings: Settings, *, offline: bool) -> list[Check]:
    async def provider_checks() -> list[Check]:
        return providers.offline() if offline else await providers.providers(settings)

    kafka, gateway, apis = await asyncio.gather(
        cluster(settings), running.gateway(settings), provider_checks()
    )
    return [*kafka, gateway, *apis]


# ---------------------------------------------------------------- a captured request


def _explain(
    raw: bytes,
    credentials: GatewayCredentials,
    *,
    urls: list[str],
    secrets: list[str],
    remote: str | None,
    as_json: bool,
) -> None:
    try:
        capture = read(raw, remote=remote)
    except CaptureError as error:
        _unreadable([f"the captured request cannot be used: {error}"], as_json)
    request = capture.request
    client = client_of(request.remote, request.headers, credentials.trusted_proxies)
    try:
        parsed = parse(request, client)
    except RequestRefusedError:
        provider = claimed_provider(request)
        found, notes = TOO_MANY_PARAMETERS, list[str]()
    else:
        provider = parsed.provider
        received_s, notes = _received(capture, parsed)
        found = diagnose(parsed, credentials, received_s, secrets=secrets, urls=urls)
    if as_json:
        _print_json({"provider": provider, **asdict(found), "notes": notes})
    else:
        say(found.sentence)
        for setting in found.settings:
            say(f"setting: {setting}")
        for note in notes:
            say(f"note: {note}")
    sys.exit(0 if found.fits else 1)


def _received(capture: Capture, parsed: ParsedRequest) -> tuple[float, list[str]]:
    """(when it was received, notes about that). If that is unknown, the time that was signed."""
    if capture.received_s is not None:
        return capture.received_s, []
    note = "its age was not looked at, for the capture does not say when it was received (`received_at`)"
    if parsed.provider == "twilio":
        return 0.0, [note] if claimed_age_s(parsed.content.parameters, 0.0) else []
    signed_s = seconds(parsed.request.header(TIMESTAMP) or "")
    return (time.time(), []) if signed_s is None else (float(signed_s), [note])


def _tokens(files: Sequence[Any]) -> list[str]:
    """The tokens, one a line, alone or as `AC…=token`."""
    found = []
    for file in files:
        try:
            lines = file.read(LIMIT_BYTES).splitlines()
        except UnicodeDecodeError:
            raise Misuse("a --token-file is not text") from None
        for line in lines:
            named = _OF_ITS_ACCOUNT.fullmatch(line.strip())
            found.append(named[1] if named else line.strip())
    return [token for token in found if token]


def _key(text: str) -> str:
    try:
        public_key(text.strip())
    except ValueError:
        raise Misuse("a --key is not an Ed25519 public key in base64") from None
    return text


def _address(text: str) -> str:
    address = clean_address(text)
    if address is None:
        raise Misuse("--remote is not an IP address")
    return address


def _credentials(settings: Settings, as_json: bool) -> GatewayCredentials:
    try:
        return GatewayCredentials.from_settings(settings)
    except SettingsError as error:
        _unreadable([str(error)], as_json)


# ---------------------------------------------------------------- what to type at the providers


def _print_setup(settings: Settings, given: str | None, as_json: bool) -> None:
    public_url = _origin(given) if given is not None else settings.public_url
    if not public_url:
        raise Misuse("give --public-url: where the providers reach the gateway")
    found = setup(public_url, settings)
    if as_json:
        _print_json(_as_object(found))
        return
    say(f"For a gateway that the providers reach at {found.public_url}")
    for concern in found.concerns:
        label("warning:", "yellow", concern)
    for section in found.sections:
        say()
        say(f"{section.provider.capitalize()}: {section.title}")
        width = max(len(entry.name) for entry in section.entries)
        for entry in section.entries:
            note = f"  ({entry.note})" if entry.note and entry.value else entry.note
            say(f"  {entry.name:<{width}}  {entry.value}{note}")
        if section.note:
            say(f"  {section.note}")
    say()
    say("Settings of callstream")
    width = max(len(wanted.name) for wanted in found.settings)
    for wanted in found.settings:
        say(f"  {wanted.name:<{width}}  {wanted.value}  ({wanted.state})")


def _as_object(found: ProviderSetup) -> dict[str, Any]:
    return {
        "public_url": found.public_url,
        "concerns": list(found.concerns),
        "sections": [
            {**section._asdict(), "entries": [entry._asdict() for entry in section.entries]}
            for section in found.sections
        ],
        "settings": [wanted._asdict() for wanted in found.settings],
    }


# ---------------------------------------------------------------- shared


def _origin(url: str) -> str:
    """A public URL, checked like the setting."""
    try:
        return load({"CALLSTREAM_PUBLIC_URL": url}).public_url
    except SettingsError as error:
        raise Misuse(str(error).replace("CALLSTREAM_PUBLIC_URL", "the URL", 1)) from None


def _settings(as_json: bool) -> Settings:
    try:
        return load()
    except SettingsError as error:
        _unreadable(problems() or [str(error)], as_json)


def _unreadable(why: Sequence[str], as_json: bool) -> NoReturn:
    if as_json:
        _print_json({"ok": False, "problems": list(why)})
    else:
        for one in why:
            say(one, err=True)
    sys.exit(2)


def _print_json(value: Any) -> None:
    say(json.dumps(value, ensure_ascii=False))
