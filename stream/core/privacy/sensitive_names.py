"""Which field names carry sensitive values: one table for every source and every privacy mode.

Only names are judged here; `masking` decides what happens to each kind.
Names are compared without case, underscores and hyphens, because the same parameter has three spellings. A
name that is not in the table is judged by its words (`SipAuthPassword`, `user_pin`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Literal

Kind = Literal["secret", "digits", "address", "text", "form", "url", "plain", "free"]
"""- `secret`: credentials, card and bank data. Redacted in every mode.
- `digits`: digits that were pressed or sent, perhaps a PIN or a card number. Redacted in every mode.
- `address`: numbers and addresses of people, whatever their form.
- `text`: names of people and places, speech, bodies, headers.
- `form`: parameters of a request. A text that is neither a form nor a JSON object is masked whole.
- `url`: shown without user info, query and fragment.
- `plain`: ids, times, amounts, codes. Bare digits in them are not a phone number.
- `free`: a word of the provider's vocabulary, whatever the names above it say.
"""

LONGEST_NAME = 64
"""Characters of the longest name whose kind is cached. The sender chooses the names of a body."""

_MOST_NAMES = 8192

_LOOKED_AT = 256
"""Characters from either end of a longer name that are judged."""

_TABLE: dict[Kind, str] = {
    "secret": """
        calltoken stirpassporttoken passporttoken authtoken accesstoken authorization proxyauthorization
        password passwd passphrase passcode pwd otp mfacode cookie setcookie apikey privatekey jwt bearer
        clientstate accesscode authcode verificationcode
        paymenttoken paymentcardnumber paymentcardtype paymentcardpostalcode cardnumber cardtype card
        securitycode cvv cvc expirationdate bankaccountnumber bankaccounttype bankroutingnumber accountnumber
        routingnumber iban postalcode
        pass psw pswd userpass sippass creds mfa totp ssn socialsecuritynumber creditcard accountno
        accesskey signingkey authuser authname oldpin mypin
        passwort kennwort contraseña contrasena senha motdepasse wachtwoord
    """,
    "digits": "digits digit dtmf",
    "address": """
        from to caller called callee forwardedfrom fromformatted toformatted callerid fromsipuri tosipuri
        phonenumber callerphonenumber dialedphonenumber rawto rawfrom number fromnumber tonumber originalto
        callednumber callingnumber targetnumber participantlabel refertransfertarget transfertarget
        transferto referto referredby dialedto dialto destination ani dnis msisdn email phone mobile
        username identity
        phoneno phonenumbers phones telephone tel mobileno cellphone fax contact recipient recipients
        calledparty callingparty clid cli fromuser touser remoteparty passertedidentity extension
        emailaddress emails
    """,
    "text": """
        callername calleridname fromcity fromstate fromzip tocity tostate tozip callercity callerstate
        callerzip calledcity calledstate calledzip transcriptiondata transcriptiontext transcript
        transcriptionresult speechresult unstablespeechresult responsebody customheaders sipheaders headers
        customparameters ipaddress location lat lon city messagehistory partialresults resulttext
        recordingurls publicrecordingurls recordingurl prompt body twiml cnam speech
        transcription transcripttext utterance address street streetaddress zip zipcode latitude
        longitude lng dob dateofbirth birthday birthdate messagebody smsbody
    """,
    "form": "requestvariables parameters",
    "url": "url uri streamurl mediaurl deliveredto endpoint statuscallback webhookurl callbackurl",
    "plain": "apiversion firsttokenreceived finaltokenreceived lasttokenreceived "
    "totaltokens prompttokens completiontokens maxtokens tokencount",
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_KINDS: dict[str, Kind] = {name: kind for kind, names in _TABLE.items() for name in names.split()}

_SECRET_HEADERS = frozenset({"identity", "authorization", "proxyauthorization", "cookie", "setcookie"})
"""Headers whose value is a credential (Identity: RFC 8224)."""

# Words that are long enough to be searched for anywhere in a name, without separators.
_SECRET_WITHIN = re.compile(
    r"password|passwd|passphrase|passcode|secret|token|credential|auth.{0,64}username"
)
_PIN = re.compile(
    r"(?:user|access|conference|card|caller|customer|host|security|voicemail|account|meeting|moderator|guest"
    r"|participant|room|login)?pins?(?:code|number|hash|value)?"
)
_SECRET_WORDS = frozenset({"pwd", "otp", "cvv", "cvc", "iban", "bank", "card", "cookie", "jwt", "apikey"})
_SECRET_PAIRS = frozenset({("api", "key"), ("private", "key"), ("routing", "number"), ("security", "code")})
_PERSONAL_NAME = _words(
    "caller callee called display customer first last full given family contact agent person subscriber"
)
_COUNTERS = _words(
    "sequence seq attempt build version serial port page line part chunk segment event revision order message"
    " turn retry packet track channel leg queue"
)
"""What a `…_number` counts if it is not a phone number."""

_URL_WORDS = frozenset({"url", "urls", "uri", "uris", "callback", "webhook", "endpoint"})
_PARTIES = frozenset(
    {"from", "to", "caller", "called", "callee", "contact", "request", "sip", "refer", "target"}
)
"""Words with which a `…_uri` is an address, not a web page."""

_ADDRESS_WORDS = frozenset(
    {"callee", "msisdn", "ani", "dnis", "phone", "callerid", "uri", "destination", "email"}
)
_PLAIN_WORDS = _words(
    "id ids sid sids uuid guid hash time timestamp date at ts epoch duration ms seconds secs sec price amount"
    " cost size bytes length count total packets octets version sequence seq code codes port ssrc"
    " offset ordinal index rate latency jitter mos expires ttl age"
)

_FREE_WORDS = frozenset(
    {"status", "state", "direction", "level", "edge", "type", "country", "connection", "carrier"}
)

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def normalised(name: str) -> str:
    """A parameter's name without case, underscores and hyphens."""
    return name.replace("_", "").replace("-", "").lower()


class _Kinds(dict[str, Kind | None]):
    """The kinds of names that were asked for. The sender chooses names, so it is bounded."""

    def __missing__(self, name: str) -> Kind | None:
        if len(name) > LONGEST_NAME:
            return _kind_of(
                name if len(name) <= 2 * _LOOKED_AT else f"{name[:_LOOKED_AT]}_{name[-_LOOKED_AT:]}"
            )
        if len(self) >= _MOST_NAMES:
            self.clear()
        kind = self[name] = _kind_of(name)
        return kind


kind_of: Callable[[str], Kind | None] = _Kinds().__getitem__
"""The kind of the values below a name, None if the name says nothing. Every name of every body is judged, and
this is a third of what a function costs.
"""


def is_secret(name: str) -> bool:
    """Whether the values below this name are redacted in every mode."""
    return kind_of(name) in ("secret", "digits")


def kind_of_header(name: str) -> Kind | None:
    """The kind of a header's value, sent as `{"name": …, "value": …}`."""
    return "secret" if len(name) <= LONGEST_NAME and normalised(name) in _SECRET_HEADERS else kind_of(name)


def _kind_of(name: str) -> Kind | None:
    plain = normalised(name)
    known = _KINDS.get(plain)
    if known is not None:
        return known
    words = [word.lower() for word in _WORD.findall(name)]
    if words[:2] == ["sip", "header"]:
        header = kind_of_header(plain.removeprefix("sipheader"))
        return header if header == "secret" or is_secret_of(words[2:], "") else "text"
    if is_secret_of(words, plain):
        return "secret"
    if "digits" in plain or "dtmf" in words:
        return "digits"
    return _kind_by_words(words)


def is_secret_of(words: list[str], plain: str) -> bool:
    """Whether a name of these words is one of a credential, card or bank data."""
    return (
        _SECRET_WITHIN.search(plain or "".join(words)) is not None
        or any(_PIN.fullmatch(word) for word in words)
        or words[-1:] == ["pass"]
        or (not _SECRET_WORDS.isdisjoint(words) and "sim" not in words)
        or not _SECRET_PAIRS.isdisjoint(pairwise(words))
    )


def _kind_by_words(words: list[str]) -> Kind | None:
    if not words:
        return None
    last = words[-1]
    if last == "number":
        return "plain" if not _COUNTERS.isdisjoint(words) else "address"
    if last == "name" and not _PERSONAL_NAME.isdisjoint(words):
        return "text"
    if last in _ADDRESS_WORDS or (last == "id" and words[-2:-1] == ["caller"]):
        return "address"
    if last == "target" and not {"transfer", "refer"}.isdisjoint(words):
        return "address"
    if last in _URL_WORDS:
        return "url" if last != "uri" or _PARTIES.isdisjoint(words) else "address"
    if not _PLAIN_WORDS.isdisjoint(words):
        return "plain"
    return "free" if last in _FREE_WORDS else None
