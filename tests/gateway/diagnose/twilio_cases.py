"""Requests that differ from what Twilio signed, and the doctor's sentence about each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_network
from urllib.parse import quote, urlencode

from stream.gateway.receive.credentials import GatewayCredentials, SharedKey
from stream.gateway.receive.request import FORM, WebhookRequest, headers_of
from tests.gateway.signing import (
    ACCOUNT,
    HOST,
    STATUS,
    TOKEN,
    Parameters,
    body_hash,
    twilio_form,
    twilio_json,
)

SUBACCOUNT = "AC0f000000000000000000000000000010"
CREDENTIALS = GatewayCredentials(twilio_tokens={ACCOUNT: (TOKEN,), SUBACCOUNT: ("subtoken",)})
PUBLIC = f"https://{HOST}"
TARGET = "/callbacks/twilio"


def received(**more: object) -> WebhookRequest:
    """What arrives: plain HTTP from a proxy on another machine, with the host kept."""
    return twilio_form(**{"secure": False, "remote": "10.0.0.1", **more})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Case:
    request: WebhookRequest
    sentence: str
    settings: tuple[str, ...] = ()
    credentials: GatewayCredentials = CREDENTIALS
    secrets: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()


def form(parameters: Parameters, **more: object) -> WebhookRequest:
    return twilio_form(parameters, **more)  # type: ignore[arg-type]


URL = ("CALLSTREAM_PUBLIC_URL",)
JSON = b'{"specversion":"1.0"}'
ORDERED = "/callbacks/twilio?b=2&a=1&c=%20x"

CASES = {
    "a proxy that ends TLS": Case(
        received(),
        f"Twilio's signature fits if the URL begins with https://: set CALLSTREAM_PUBLIC_URL={PUBLIC}.",
        URL,
    ),
    "TLS where Twilio has http": Case(
        twilio_form(signed_url=f"http://{HOST}{TARGET}"),
        f"fits if the URL begins with http://: set CALLSTREAM_PUBLIC_URL=http://{HOST}.",
        URL,
    ),
    "a proxy that changes the host and says so without being trusted": Case(
        received(
            host="inner.test:8080",
            headers=[
                ("X-Forwarded-Host", HOST),
                ("X-Forwarded-Proto", "https"),
                ("X-Forwarded-For", "192.0.2.1"),
            ],
        ),
        f"fits if the URL begins with https:// and the host is {HOST}: set CALLSTREAM_PUBLIC_URL={PUBLIC}, "
        "or CALLSTREAM_TRUSTED_PROXIES=10.0.0.1 if that is your proxy.",
        URL,
    ),
    "the same by RFC 7239": Case(
        received(host="inner.test", headers=[("Forwarded", f"for=192.0.2.1;host={HOST};proto=https")]),
        "CALLSTREAM_TRUSTED_PROXIES=10.0.0.1",
        URL,
    ),
    "a trusted proxy that does not tell the scheme": Case(
        received(host="inner.test", headers=[("X-Forwarded-Host", HOST)]),
        f"fits if the URL begins with https://: set CALLSTREAM_PUBLIC_URL={PUBLIC}.",
        URL,
        replace(CREDENTIALS, trusted_proxies=(ip_network("10.0.0.0/8"),)),
    ),
    "a configured URL with another host": Case(
        received(),
        f"fits if the host is {HOST}: set CALLSTREAM_PUBLIC_URL={PUBLIC}.",
        URL,
        replace(CREDENTIALS, public_url="https://old.test"),
    ),
    "a host that nobody names but the operator": Case(
        received(host="inner.test"),
        f"the host is {HOST}",
        URL,
        urls=(f"{PUBLIC}/callbacks/twilio",),
    ),
    "a port that the proxy takes off": Case(
        received(signed_url=f"http://{HOST}:8080{TARGET}"),
        f"fits if the port 8080 is in the URL: set CALLSTREAM_PUBLIC_URL=http://{HOST}:8080.",
        URL,
    ),
    "a port and a scheme": Case(
        received(signed_url=f"https://{HOST}:8443{TARGET}"),
        f"set CALLSTREAM_PUBLIC_URL=https://{HOST}:8443.",
        URL,
    ),
    "a path that a proxy takes off": Case(
        twilio_form(signed_url=f"{PUBLIC}/voice{TARGET}", headers=[("X-Forwarded-Prefix", "/voice/")]),
        f"fits if the path begins with what a proxy takes off: set CALLSTREAM_PUBLIC_URL={PUBLIC}/voice.",
        URL,
    ),
    "a path that only the operator knows": Case(
        twilio_form(signed_url=f"{PUBLIC}/voice{TARGET}"),
        f"set CALLSTREAM_PUBLIC_URL={PUBLIC}/voice.",
        URL,
        urls=(f"{PUBLIC}/voice/",),
    ),
    "a path in the public URL that is not taken off": Case(
        twilio_form(),
        f"set CALLSTREAM_PUBLIC_URL={PUBLIC}.",
        URL,
        replace(CREDENTIALS, public_url=f"{PUBLIC}/voice"),
    ),
    "a path that was rewritten": Case(
        twilio_form(signed_url=f"{PUBLIC}/hook?x=1", headers=[("X-Original-URI", "/hook?x=1")]),
        "the path is the one before a proxy changed it and the query is the one before a proxy changed it",
    ),
    "a slash too few": Case(
        twilio_form(signed_url=f"{PUBLIC}{TARGET}/"),
        "the path ends with a slash: let the proxy pass the path",
    ),
    "a slash too many": Case(
        twilio_form(target=f"{TARGET}/", signed_url=f"{PUBLIC}{TARGET}"), "the path has no slash at its end"
    ),
    "an index page": Case(
        twilio_form(target="/x/index.php", signed_url=f"{PUBLIC}/x/"), "has no index page at its end"
    ),
    "a doubled slash": Case(
        twilio_form(target="/callbacks//twilio", signed_url=f"{PUBLIC}{TARGET}"), "has no doubled slashes"
    ),
    "a path that was decoded": Case(
        twilio_form(target="/a b", signed_url=f"{PUBLIC}/a%20b"), "the path is percent-encoded in another way"
    ),
    "a query in another order": Case(
        twilio_form(target="/x?a=1&b=2&c=3", signed_url=f"{PUBLIC}/x?c=3&a=1&b=2"),
        "the query's parameters are in another order: let the proxy pass the query unchanged, or give Twilio "
        "the URL with its parameters sorted by name.",
    ),
    "a query of many parameters that was sorted": Case(
        twilio_form(target="/x?a=1&b=2&c=3&d=4&e=5&f=6", signed_url=f"{PUBLIC}/x?f=6&e=5&d=4&c=3&b=2&a=1"),
        "the query's parameters are in another order",
    ),
    "a query whose blanks were written in another way": Case(
        twilio_form(target="/x?a=b+c", signed_url=f"{PUBLIC}/x?a=b%20c"), "percent-encoded in another way"
    ),
    "a query in small hex": Case(
        twilio_form(target="/x?a=%c3%ab", signed_url=f"{PUBLIC}/x?a=%C3%AB"), "percent-encoded in another way"
    ),
    "a query that was decoded": Case(
        twilio_form(target="/x?a=@", signed_url=f"{PUBLIC}/x?a=%40"), "percent-encoded in another way"
    ),
    "&amp; from a template": Case(
        twilio_form(target="/x?a=1&b=2", signed_url=f"{PUBLIC}/x?a=1&amp;b=2"),
        "& stands as &amp; in the query",
    ),
    "a parameter that a proxy adds": Case(
        twilio_form(target="/x?a=1&region=eu", signed_url=f"{PUBLIC}/x?a=1"),
        "a parameter that was added to the query is left out",
    ),
    "a query that a proxy adds": Case(
        twilio_form(target="/x?region=eu", signed_url=f"{PUBLIC}/x"), "the URL has no query"
    ),
    "an empty parameter that was dropped from the query": Case(
        twilio_form(target="/x?a", signed_url=f"{PUBLIC}/x?a="), "without a value end in ="
    ),
    "a question mark that was dropped": Case(
        twilio_form(target="/x", signed_url=f"{PUBLIC}/x?"), "the URL ends with a question mark"
    ),
    "a parameter that was added to the body": Case(
        form([*STATUS, ("proxy", "1")], signed=STATUS),
        "a parameter that was added to the body is left out: let the proxy pass the body unchanged.",
    ),
    "an empty parameter that was added": Case(
        form([*STATUS, ("x", "")], signed=[pair for pair in STATUS if pair[1]]),
        "empty parameters are left out",
    ),
    "a blank that was trimmed": Case(
        form([*STATUS, ("SpeechResult", "yes")], signed=[*STATUS, ("SpeechResult", "yes ")]),
        "a blank at the end of a value is kept",
    ),
    "blanks that were added": Case(
        form([(n, v + " " if v else v) for n, v in STATUS], signed=STATUS),
        "values have no blanks at their ends",
    ),
    "a text that was read as Latin-1": Case(
        form([*STATUS[:3], ("To", "client:zoÃ«")], signed=[*STATUS[:3], ("To", "client:zoë")]),
        "texts are UTF-8",
    ),
    "a plus sign that was not encoded again": Case(
        replace(twilio_form(), body=urlencode(STATUS, quote_via=quote).replace("%2B", "+").encode()),
        "a plus sign in the body is one and not a blank",
    ),
    "a JSON body that was called a form": Case(
        replace(
            twilio_json(JSON),
            headers=headers_of(
                (n, FORM if n == "Content-Type" else v) for n, v in twilio_json(JSON).headers.items()
            ),
        ),
        "the body is signed as JSON is, by the URL alone: let the proxy pass the Content-Type unchanged.",
    ),
    "a form that was called JSON": Case(
        replace(
            twilio_form(),
            headers=headers_of(
                (n, "application/json" if n == "Content-Type" else v)
                for n, v in twilio_form().headers.items()
            ),
        ),
        "the body is signed as a form: let the proxy pass the Content-Type unchanged.",
    ),
    "a JSON body that was written again": Case(
        replace(twilio_json(JSON), body=b'{"specversion": "1.0"}'),
        "the body is the one whose hash was signed: let the proxy pass the body unchanged.",
    ),
    "a hash that was dropped from the query": Case(
        twilio_json(
            JSON,
            hashed=False,
            signed_url=f"{PUBLIC}/callbacks/twilio/event-streams?bodySHA256={body_hash(JSON)}",
        ),
        "bodySHA256 is in the query: let the proxy pass the query unchanged.",
    ),
    "a POST that a redirect made a GET": Case(
        replace(twilio_form(), method="GET", target="/callbacks/twilio?" + urlencode(STATUS), body=b""),
        "the URL has no query and the query's parameters are signed as those of a POST",
    ),
    "a subaccount's callback signed with its parent's token": Case(
        form([("AccountSid", SUBACCOUNT)]),
        "fits if the token is that of account AC…0009: name account AC…0010 as its subaccount in "
        "CALLSTREAM_TWILIO_SUBACCOUNTS, if it is one",
        ("CALLSTREAM_TWILIO_SUBACCOUNTS",),
    ),
    "an account that is not configured, with a token that is": Case(
        form([("AccountSid", "AC0f000000000000000000000000000099")]),
        "name account AC…0099 as its subaccount",
        ("CALLSTREAM_TWILIO_SUBACCOUNTS",),
    ),
    "an account that is not configured": Case(
        form([("AccountSid", "AC0f000000000000000000000000000099")], token="unheard"),
        "Account AC…0099 is not configured: set CALLSTREAM_TWILIO_ACCOUNT_TOKENS with its token.",
        ("CALLSTREAM_TWILIO_ACCOUNT_TOKENS",),
    ),
    "a token with quotes around it": Case(
        twilio_form(),
        "fits if the configured token is taken without the quotes or blanks around it",
        ("CALLSTREAM_TWILIO_AUTH_TOKEN",),
        GatewayCredentials(twilio_tokens={ACCOUNT: (f'"{TOKEN}"',)}),
    ),
    "a token that the operator tries": Case(
        received(token="candidate"),
        "fits if the URL begins with https:// and the token is the one that was tried here: "
        f"set CALLSTREAM_PUBLIC_URL={PUBLIC}; add it to CALLSTREAM_TWILIO_ACCOUNT_TOKENS.",
        ("CALLSTREAM_PUBLIC_URL", "CALLSTREAM_TWILIO_ACCOUNT_TOKENS"),
        secrets=("wrong", " candidate "),
    ),
    "a shared key whose header was dropped": Case(
        twilio_form(token="sharedsecret"),
        "the shared key is another one than the request names",
        ("CALLSTREAM_TWILIO_SHARED_KEYS",),
        replace(CREDENTIALS, twilio_shared_keys={"key_1": SharedKey("", "sharedsecret")}),
    ),
    "nothing that is known": Case(
        twilio_form(token="unheard"),
        "No variant of this request fits",
        ("CALLSTREAM_TWILIO_AUTH_TOKEN", "CALLSTREAM_PUBLIC_URL"),
    ),
    "nothing configured": Case(
        form([("x", "1")]),
        "No auth token is configured: set CALLSTREAM_TWILIO_AUTH_TOKEN.",
        ("CALLSTREAM_TWILIO_AUTH_TOKEN",),
        GatewayCredentials(),
    ),
    "no signature": Case(
        WebhookRequest(method="POST", target=TARGET, headers=headers_of([("Host", HOST)])),
        "The header X-Twilio-Signature is missing",
    ),
    "two signatures": Case(
        twilio_form(headers=[("X-Twilio-Signature", "AAAA")]), "it was changed on its way or came twice"
    ),
    "an algorithm that nobody knows": Case(
        twilio_form(headers=[("X-Twilio-Webhooks-Signature-Settings", "algorithm=MD9")]),
        "The signature itself fits, but the gateway did not check it: the signature's algorithm is not",
    ),
    "too many parameters": Case(
        replace(twilio_form(), body=b"&" * 2000), "The form has more parameters than a provider sends."
    ),
}
