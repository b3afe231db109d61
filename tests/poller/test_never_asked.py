"""What is never requested: invalid call ids, windows by call, and URLs that get credentials in clear."""

from __future__ import annotations

import pytest

from stream.poller.pages.client import InsecureUrlError, PageClient
from stream.poller.resources import RESOURCES
from stream.poller.resources.resource import CallUrlError
from tests.poller.accounts import LEG, telnyx, twilio
from tests.poller.pages.read_fixture import FIRST, ReadSetup, no_secrets_in


@pytest.mark.parametrize("source", [source for source, one in RESOURCES.items() if one.call_url])
def test_an_invalid_call_id_is_an_error(source: str) -> None:
    with pytest.raises(CallUrlError, match=r"^a call's id has 1 to 128 letters, digits and `_.:-`$"):
        RESOURCES[source].url_of_call(twilio(), "../Messages?x=", None)


def test_a_resource_with_windows_only_has_no_url_of_a_call() -> None:
    with pytest.raises(CallUrlError, match=r"^telnyx_webhook_delivery cannot be read by call$"):
        RESOURCES["telnyx_webhook_delivery"].url_of_call(telnyx(), LEG, None)


async def test_credentials_in_clear_are_refused_before_a_permit_is_taken(setup: ReadSetup) -> None:
    with pytest.raises(InsecureUrlError):
        await setup.read(RESOURCES["twilio_call_event"], twilio("http://10.0.0.1"), "http://10.0.0.1" + FIRST)
    with pytest.raises(ValueError):
        await setup.read(RESOURCES["twilio_call_event"], twilio(), setup.provider.url + FIRST)
    assert (setup.limiter.most_inside, setup.metrics.requests) == (0, [])


def test_no_repr_shows_credentials() -> None:
    no_secrets_in(twilio(), telnyx(), RESOURCES, PageClient())
