"""Every name of the table, written down a second time: a name that the table loses is missed here.

This list is not derived from the table. A name that is added there is added here, with its kind.
"""

from __future__ import annotations

import pytest

from stream.core.privacy import sensitive_names
from stream.core.privacy.sensitive_names import kind_of, normalised

NAMES = {
    "secret": """
        accesscode accesstoken accountnumber apikey authcode authorization authtoken
        bankaccountnumber bankaccounttype bankroutingnumber bearer calltoken card cardnumber
        cardtype clientstate cookie cvc cvv expirationdate iban jwt mfacode otp passcode passphrase
        passporttoken passwd password paymentcardnumber paymentcardpostalcode paymentcardtype
        paymenttoken postalcode privatekey proxyauthorization pwd routingnumber securitycode
        setcookie stirpassporttoken verificationcode
        accesskey accountno authname authuser creds creditcard mfa mypin oldpin pass psw pswd
        signingkey sippass socialsecuritynumber ssn totp userpass
        contrasena contraseña kennwort motdepasse passwort senha wachtwoord
    """,
    "digits": """
        digit digits dtmf
    """,
    "address": """
        ani called callednumber callee caller callerid callerphonenumber callingnumber destination
        dialedphonenumber dialedto dialto dnis email forwardedfrom from fromformatted fromnumber
        fromsipuri identity mobile msisdn number originalto participantlabel phone phonenumber
        rawfrom rawto referredby referto refertransfertarget targetnumber to toformatted tonumber
        tosipuri transfertarget transferto username
        calledparty callingparty cellphone cli clid contact emailaddress emails extension fax fromuser
        mobileno passertedidentity phoneno phonenumbers phones recipient recipients remoteparty tel
        telephone touser
    """,
    "text": """
        body calledcity calledstate calledzip callercity calleridname callername callerstate
        callerzip city cnam customheaders customparameters fromcity fromstate fromzip headers
        ipaddress lat location lon messagehistory partialresults prompt publicrecordingurls
        recordingurl recordingurls responsebody resulttext sipheaders speech speechresult tocity
        tostate tozip transcript transcriptiondata transcriptionresult transcriptiontext twiml
        unstablespeechresult
        address birthday birthdate dateofbirth dob latitude lng longitude messagebody smsbody street
        streetaddress transcription transcripttext utterance zip zipcode
    """,
    "form": """
        parameters requestvariables
    """,
    "url": """
        callbackurl deliveredto endpoint mediaurl statuscallback streamurl uri url webhookurl
    """,
    "plain": """
        apiversion completiontokens finaltokenreceived firsttokenreceived lasttokenreceived
        maxtokens prompttokens tokencount totaltokens
    """,
}


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for kind, names in NAMES.items() for name in names.split()]
)
def test_every_name_of_the_table_says_what_it_holds_however_it_is_spelled(name: str, kind: str) -> None:
    for written in (name, name.upper(), name.capitalize(), "-".join(name), "_".join(name)):
        assert kind_of(written) == kind, written


def test_both_lists_have_the_same_names() -> None:
    written_down = {name: kind for kind, names in NAMES.items() for name in names.split()}
    assert written_down == sensitive_names._KINDS
    assert all(name == normalised(name) for name in written_down)
