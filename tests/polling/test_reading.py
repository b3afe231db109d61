"""Resources read from a provider on a real socket: a good, a tired, a broken and a malicious one."""

from __future__ import annotations

import asyncio
import gzip
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
import pytest

from stream.core.fetches import OUTCOMES
from stream.polling.account import Account
from stream.polling.client import Client, InsecureUrlError
from stream.polling.landing import LETTER_LIMIT_BYTES, LandedPage
from stream.polling.reading import CALL, WINDOW, Means, Reach, Read, read, url_of_call
from stream.polling.resource import Resource
from stream.polling.resources import RESOURCES
from stream.runtime.wire import read_envelope
from tests.polling.accounts import ACCOUNT_SID, CALL_SID, LEG, SECRETS, telnyx, twilio
from tests.polling.provider import Beach, OpenGate, Provider, Said, Told, endless, hung_up, serving, silent

EVENTS = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{CALL_SID}/Events.json"
FIRST = f"{EVENTS}?PageSize=1000"
RECEIVED_US = 1_772_445_600_000_001


@dataclass
class World:
    """A provider, and all that a read of it touches."""

    provider: Provider
    client: Client
    gate: OpenGate = field(default_factory=OpenGate)
    beach: Beach = field(default_factory=Beach)
    told: Told = field(default_factory=Told)
    pauses: list[float] = field(default_factory=list)
    chance: float = 0.5

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def read(
        self, resource: Resource, account: Account, url: str, reach: Reach = CALL, priority: str = "terminal"
    ) -> Read:
        means = Means(chance=lambda: self.chance, sleep=self._sleep, now_us=lambda: RECEIVED_US)
        return await read(
            resource,
            account,
            url,
            client=self.client,
            gate=self.gate,
            priority=priority,
            land=self.beach.land,
            metrics=self.told,
            reach=reach,
            means=means,
        )

    async def events(self, reach: Reach = CALL) -> Read:
        """The Call Events of the call."""
        account = twilio(self.provider.url, f"{self.provider.url}/insights")
        url = url_of_call(RESOURCES["twilio_call_event"], account, CALL_SID, None)
        assert isinstance(url, str)
        return await self.read(RESOURCES["twilio_call_event"], account, url, reach)

    async def leg_events(self) -> Read:
        account = telnyx(f"{self.provider.url}/v2")
        url = url_of_call(RESOURCES["telnyx_call_event"], account, LEG, None)
        assert isinstance(url, str)
        return await self.read(RESOURCES["telnyx_call_event"], account, url)

    @property
    def bodies(self) -> list[bytes]:
        found = []
        for row in self.beach.rows:
            start = row.value.index(b'"body":') + 7
            end = row.value.rfind(b',"ordinal":')
            found.append(row.value[start : end if end > start else -1])
        return found

    @property
    def ordinals(self) -> list[int]:
        return [read_envelope(row.value).ordinal for row in self.beach.rows]

    @property
    def reasons(self) -> list[tuple[str, str]]:
        return [(letter.reason, dict(letter.headers)["error"].decode()) for letter in self.beach.letters]


@asynccontextmanager
async def a_world(**bounds: float) -> AsyncIterator[World]:
    async with serving() as provider, Client(**bounds) as client:  # type: ignore[arg-type]
        yield World(provider, client)


@pytest.fixture
async def world(caplog: pytest.LogCaptureFixture) -> AsyncIterator[World]:
    caplog.set_level(logging.DEBUG)
    async with a_world() as world:
        yield world
    for letter in world.beach.letters:
        no_secrets_in(letter)
    for row in world.beach.rows:
        no_secrets_in(row)
    no_secrets_in(
        caplog.text, [record.__dict__ for record in caplog.records], world.told.__dict__, world.gate.told
    )


def no_secrets_in(*things: object) -> None:
    said = "".join(repr(thing) for thing in things)
    assert not [secret for secret in SECRETS if secret in said]


def row(number: int) -> bytes:
    return (
        b'{"request":{"url":"https://hooks.example.test/%d","parameters":{"n":1.10}},"response":null}'
        % number
    )


def page(*rows: bytes, onwards: str | None = None) -> Said:
    return Said(
        200, b'{"events":[' + b" , ".join(rows) + b'],"next_page_uri":' + orjson.dumps(onwards) + b"}"
    )


# -- a good provider


async def test_a_resource_is_read_page_by_page_each_landed_before_the_next_is_asked(world: World) -> None:
    asked_when_landed = []

    class Watching(Beach):
        async def land(self, page: LandedPage) -> None:
            await super().land(page)
            asked_when_landed.append(len(world.provider.seen))

    world.beach = Watching()
    world.provider.at(FIRST, page(row(1), row(2), onwards=f"{EVENTS}?Page=1&PageToken=PA%2F1"))
    world.provider.at(
        f"{EVENTS}?Page=1&PageToken=PA%2F1", page(row(1), onwards=f"{world.provider.url}{EVENTS}?Page=2")
    )
    world.provider.at(f"{EVENTS}?Page=2", page(row(3)))
    came = await world.events()
    assert came == Read("success", 4, False, came.content, 3, "")
    assert came.content is not None
    assert world.bodies == [row(1), row(2), row(1), row(3)]
    assert world.ordinals == [0, 0, 1, 0]
    assert {one.key for one in world.beach.rows} == {f"twilio:{CALL_SID}".encode()}
    assert {orjson.loads(one.value)["endpoint"] for one in world.beach.rows} == {EVENTS}
    assert asked_when_landed == [1, 2, 3]
    assert world.told.requests == [("twilio_call_event", "success")] * 3
    assert world.gate.told == [("terminal", "twilio_call_event", "success", None)] * 3


async def test_rows_about_no_call_are_counted_and_do_not_land(world: World) -> None:
    account = telnyx(f"{world.provider.url}/v2")
    about_a_call = b'{"id":"d1","webhook":{"event_type":"call.hangup","payload":{"call_leg_id":"c3"}}}'
    a_message = b'{"id":"d2","webhook":{"event_type":"message.received","payload":{"text":"hello"}}}'
    world.provider.otherwise = Said(200, b'{"data":[' + about_a_call + b"," + a_message + b"]}")
    resource = RESOURCES["telnyx_webhook_delivery"]
    came = await world.read(resource, account, f"{account.api_url}/webhook_deliveries", WINDOW)
    assert (came.outcome, world.bodies, world.beach.letters) == ("success", [about_a_call], [])
    assert world.told.left_outs == [("telnyx_webhook_delivery", 1)]


async def test_two_reads_of_the_same_are_equal_and_another_row_makes_them_differ(world: World) -> None:
    world.provider.at(FIRST, page(row(1)), page(row(1)), page(row(1), row(2)))
    first, second, third = [await world.events() for _ in range(3)]
    assert first == second
    assert first.content != third.content


async def test_nothing_is_there_is_an_answer(world: World) -> None:
    world.provider.at(FIRST, page())
    came = await world.events()
    assert came == Read("empty", 0, False, came.content, 1)
    assert came.content is not None
    assert world.told.requests == [("twilio_call_event", "empty")]


@pytest.mark.parametrize(("price", "complete"), [(b'"-0.0140"', True), (b"null", False)])
async def test_a_call_says_itself_whether_it_is_complete(world: World, price: bytes, complete: bool) -> None:
    body = b'{"sid":"%s","status":"completed","duration":"49","price":%s}' % (CALL_SID.encode(), price)
    path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{CALL_SID}.json"
    world.provider.at(path, Said(200, body))
    account = twilio(world.provider.url)
    came = await world.read(RESOURCES["twilio_call"], account, world.provider.url + path)
    assert (came.outcome, came.rows, came.complete) == ("success", 1, complete)
    assert world.bodies == [body]


async def test_insights_are_read_over_their_absolute_links(world: World) -> None:
    base = f"{world.provider.url}/insights"
    path = f"/insights/v1/Voice/{CALL_SID}/Events"
    event = b'{"timestamp":"2026-03-02T10:00:00Z","edge":null,"name":"ringing"}'
    for at, onwards in (("?Edge=sdk_edge&PageSize=1000", f"{base}/v1/next?Page=1"), (None, None)):
        said = b'{"meta":{"key":"events","next_page_url":%s},"events":[%s]}' % (orjson.dumps(onwards), event)
        world.provider.at(path + at if at else "/insights/v1/next?Page=1", Said(200, said))
    account = twilio(world.provider.url, base)
    url = url_of_call(RESOURCES["twilio_insights_event"], account, CALL_SID, "sdk_edge")
    assert isinstance(url, str)
    came = await world.read(RESOURCES["twilio_insights_event"], account, url)
    assert (came.outcome, came.rows, world.ordinals) == ("success", 2, [0, 1])
    assert {one.key for one in world.beach.rows} == {f"twilio:{CALL_SID}".encode()}


async def test_rows_that_move_while_one_pages_land_once(world: World) -> None:
    def numbered(number: int, total: int, *rows: int) -> None:
        said = ",".join(f'{{"call_leg_id":"{LEG}","name":"{one}"}}' for one in rows)
        meta = f'{{"page_number":{number},"total_pages":2,"total_results":{total}}}'
        path = f"/v2/call_events?filter%5Bleg_id%5D={LEG}&page%5Bnumber%5D={number}&page%5Bsize%5D=250"
        world.provider.at(path, Said(200, f'{{"data":[{said}],"meta":{meta}}}'.encode()))

    numbered(1, 3, 1, 2)
    numbered(2, 4, 2, 3)
    came = await world.leg_events()
    assert (came.rows, came.pages) == (3, 2)
    assert [(orjson.loads(body)["name"]) for body in world.bodies] == ["1", "2", "3"]
    assert world.ordinals == [0, 0, 0]


@pytest.mark.parametrize("twice", [1, 2])
async def test_a_page_of_twins_of_the_one_before_lands_too(world: World, twice: int) -> None:
    world.provider.at(FIRST, page(row(1), onwards="/2"))
    world.provider.at("/2", page(row(1), onwards="/3" if twice == 2 else None))
    world.provider.at("/3", page(row(2)))
    assert (await world.events()).rows == 1 + twice
    assert world.ordinals == [0, 1, 0][: 1 + twice]


async def test_a_packed_page_lands_as_the_bytes_that_were_packed(world: World) -> None:
    world.provider.at(FIRST, Said(200, gzip.compress(page(row(1)).body), {"Content-Encoding": "gzip"}))
    assert (await world.events()).rows == 1
    assert world.bodies == [row(1)]


# -- refusals, and what is tried again


@pytest.mark.parametrize(
    ("status", "reach", "outcome", "problem"),
    [
        (401, CALL, "auth_error", "answered 401: the credentials are not accepted"),
        (404, CALL, "not_ready", "answered 404"),
        (404, WINDOW, "not_found", "answered 404"),
        (400, CALL, "client_error", "answered 400"),
        (410, WINDOW, "client_error", "answered 410"),
        (204, CALL, "client_error", "answered 204"),
        (301, CALL, "client_error", "answered 301: redirects, which is not followed"),
        (307, CALL, "client_error", "answered 307: redirects, which is not followed"),
    ],
)
async def test_a_refusal_ends_the_read_at_once(
    world: World, status: int, reach: Reach, outcome: str, problem: str
) -> None:
    world.provider.at(FIRST, Said(status, b'{"code":1}' if status != 204 else b"", {"Location": "/stolen"}))
    assert await world.events(reach) == Read(outcome, problem=problem)
    assert (world.provider.paths, world.pauses, world.beach.pages) == ([FIRST], [], [])
    assert world.told.requests == [("twilio_call_event", outcome)]
    assert world.gate.told == [("terminal", "twilio_call_event", outcome, None)]
    assert outcome in OUTCOMES


async def test_a_403_is_of_the_resource_and_not_of_the_account(world: World) -> None:
    world.provider.at(FIRST, Said(403, b"{}"))
    problem = "answered 403: the credentials may not read this"
    assert await world.events(WINDOW) == Read("auth_error", problem=problem, forbidden=True)
    assert world.told.requests == [("twilio_call_event", "auth_error")]
    assert world.gate.told == [("terminal", "twilio_call_event", "client_error", None)]


async def test_what_may_pass_is_tried_again_at_the_same_page(world: World) -> None:
    world.provider.at(
        FIRST, hung_up, Said(503), Said(429, b"", {"Retry-After": "7"}), page(row(1), onwards="/2")
    )
    world.provider.at("/2", Said(500), Said(500), Said(500), Said(500), page(row(2)))
    came = await world.events()
    assert (came.outcome, came.rows, came.pages) == ("success", 2, 2)
    assert world.provider.paths == [FIRST] * 4 + ["/2"] * 5
    assert world.pauses == [0.25, 0.5, 7 + 1.0, 0.25, 0.5, 1.0, 2.0]
    assert world.told.waits == [("twilio_call_event", 8.0)]
    outcomes = ["network_error", "server_error", "throttled", "success", *["server_error"] * 4, "success"]
    assert [outcome for _, outcome in world.told.requests] == outcomes
    assert [told[2:] for told in world.gate.told] == [
        (outcome, 7.0 if outcome == "throttled" else None) for outcome in outcomes
    ]


@pytest.mark.parametrize(
    ("answer", "outcome", "problem"),
    [
        (Said(500), "server_error", "answered 500"),
        (Said(429), "throttled", "answered 429: too many requests"),
        (hung_up, "network_error", "ServerDisconnectedError"),
    ],
)
async def test_after_five_tries_it_is_given_up_and_what_was_landed_stays(
    world: World, answer: Said, outcome: str, problem: str
) -> None:
    world.provider.at(FIRST, page(row(1), row(2), onwards="/2"))
    world.provider.at("/2", answer)
    assert await world.events() == Read(outcome, 2, False, None, 1, problem)
    assert world.provider.paths == [FIRST, *["/2"] * 5]
    assert world.pauses == [0.25, 0.5, 1.0, 2.0]
    assert (world.bodies, world.beach.letters) == ([row(1), row(2)], [])


async def test_nobody_there_is_a_network_error(world: World) -> None:
    account = twilio("http://127.0.0.1:1")
    url = "http://127.0.0.1:1" + FIRST
    came = await world.read(RESOURCES["twilio_call_event"], account, url)
    assert came == Read("network_error", problem="ClientConnectorError")
    assert len(world.told.requests) == 5


async def test_chance_spreads_the_pauses_and_the_longest_has_a_bound() -> None:
    for chance, pauses in ((0.0, [0, 0, 0, 0]), (1.0, [0.5, 1, 2, 4])):
        async with a_world() as world:
            world.chance = chance
            world.provider.at(FIRST, Said(500))
            await world.events()
            assert world.pauses == pauses


@pytest.mark.parametrize("status", [429, 503])
async def test_who_is_asked_to_wait_for_long_comes_back_another_time(world: World, status: int) -> None:
    world.provider.at(FIRST, Said(status, b"", {"Retry-After": "301"}))
    came = await world.events()
    assert (came.outcome, world.pauses, len(world.provider.seen)) == ("throttled", [], 1)
    assert came.problem.endswith(": it wants to be left alone for 301 s")


async def test_five_minutes_are_waited_for(world: World) -> None:
    world.provider.at(FIRST, Said(503, b"", {"Retry-After": "300"}), page(row(1)))
    assert (await world.events()).outcome == "success"
    assert (world.pauses, world.told.waits) == ([300.25], [])


async def test_between_two_attempts_others_have_their_turn(world: World) -> None:
    async def sleep(_: float) -> None:
        assert world.gate.inside == 0

    world._sleep = sleep  # type: ignore[method-assign]
    world.provider.at(FIRST, Said(429), page(row(1), onwards="/2"))
    world.provider.at("/2", page(row(2)))
    assert (await world.events()).rows == 2
    assert (world.gate.most_inside, len(world.gate.told)) == (1, 3)


# -- a broken provider

RUBBISH = [
    (b"<html><body>Service is busy</body></html>", "not_json"),
    (b'{"events":[{"request":null},{"requ', "not_json"),
    (b"", "not_json"),
    (b"[]", "not_an_object"),
    (b'{"items":[]}', "invalid_field"),
    (b'{"events":null}', "invalid_field"),
    (b'{"code":20404,"message":"not found","status":404}', "invalid_field"),
]


@pytest.mark.parametrize(("body", "reason"), RUBBISH)
async def test_rubbish_with_a_status_of_200_is_kept_and_said(world: World, body: bytes, reason: str) -> None:
    world.provider.at(FIRST, page(row(1), onwards="/2"))
    world.provider.at("/2", Said(200, body))
    came = await world.events()
    assert came == Read("rubbish", 1, False, None, 1, came.problem)
    assert came.problem
    (letter,) = world.beach.letters
    assert (letter.value, letter.reason, letter.source) == (body, reason, "twilio_call_event")
    assert dict(letter.headers)["source_topic"] == EVENTS.encode()
    assert world.told.requests == [("twilio_call_event", "success"), ("twilio_call_event", "rubbish")]
    assert world.pauses == []


async def test_broken_rows_cost_no_other_row(world: World) -> None:
    huge = b'{"request":null,"response":{"x":"%s"}}' % (b"y" * (10 << 20))
    half = rb'{"request":{"url":"\ud83d"}}'
    world.provider.at(FIRST, page(row(1), b"12", huge, half, row(2)))
    came = await world.events()
    assert (came.outcome, came.rows, came.problem) == ("success", 2, "")
    assert world.bodies == [row(1), row(2)]
    assert [letter.reason for letter in world.beach.letters] == ["invalid_field", "too_large", "not_json"]
    assert len(world.beach.letters[1].value) == LETTER_LIMIT_BYTES


async def test_a_page_of_far_too_many_rows_is_kept_whole_and_none_of_them_alone(world: World) -> None:
    too_many = page(*[b"1"] * 20_000)
    world.provider.at(FIRST, too_many)
    assert await world.events() == Read("rubbish", problem="more than 10000 rows")
    (letter,) = world.beach.letters
    assert (letter.reason, letter.value) == ("too_large", too_many.body)


async def test_others_go_on_while_a_large_page_is_taken_apart(world: World) -> None:
    longest_s, ended = 0.0, False

    async def watch() -> None:
        nonlocal longest_s
        while not ended:
            began_s = time.monotonic()
            await asyncio.sleep(0.01)
            longest_s = max(longest_s, time.monotonic() - began_s)

    deep = b"[" * (4 << 20)
    world.provider.at(FIRST, Said(200, gzip.compress(b'{"events":[' + deep), {"Content-Encoding": "gzip"}))
    watching = asyncio.create_task(watch())
    took_s = time.monotonic()
    assert (await world.events()).outcome == "rubbish"
    took_s, ended = time.monotonic() - took_s, True
    await watching
    assert longest_s < took_s / 2


@pytest.mark.parametrize("kind", ["plain", "bomb", "endless"])
async def test_a_page_without_end_is_put_down_and_its_beginning_kept(kind: str) -> None:
    async with a_world(max_page_bytes=3 << 20) as world:
        spaces = b" " * (64 << 20)
        world.provider.otherwise = {
            "plain": Said(200, spaces[: 4 << 20]),
            "bomb": Said(200, gzip.compress(spaces), {"Content-Encoding": "gzip"}),
            "endless": endless,
        }[kind]
        came = await world.events()
        assert came == Read("rubbish", problem="more than 3145728 bytes")
        (letter,) = world.beach.letters
        assert (letter.reason, letter.value) == ("too_large", b" " * LETTER_LIMIT_BYTES)
        assert dict(letter.headers)["truncated"] == b"3145728"
        assert len(world.provider.seen) == 1


async def test_a_page_that_never_comes_is_a_network_error() -> None:
    async with a_world(timeout_s=0.2) as world:
        world.provider.otherwise = silent
        came = await world.events()
        assert came == Read("network_error", problem="no whole answer within 0.2 s")
        assert [outcome for _, outcome in world.told.requests] == ["network_error"] * 5


# -- a malicious provider


async def test_a_page_on_another_host_is_not_asked_and_hears_nothing(world: World) -> None:
    async with serving() as other:
        world.provider.at(FIRST, page(row(1), onwards=f"{other.url}{EVENTS}?Page=1"))
        came = await world.events()
        assert came == Read(
            "rubbish", 1, False, None, 1, "the next page is on another host, which is not asked"
        )
        assert (other.seen, world.bodies, world.provider.paths) == ([], [row(1)], [FIRST])
        assert world.reasons == [("invalid_field", came.problem)]
        assert str(other.port) not in came.problem


async def test_a_redirect_is_not_followed_anywhere(world: World) -> None:
    async with serving() as other:
        for target in (f"{other.url}/stolen", "/elsewhere"):
            world.provider.at(FIRST, Said(302, b"", {"Location": target}))
            assert (await world.events()).outcome == "client_error"
        assert (other.seen, set(world.provider.paths)) == ([], {FIRST})


async def test_pages_in_a_circle_are_asked_once_each(world: World) -> None:
    world.provider.at(FIRST, page(row(1), onwards="/2"))
    world.provider.at("/2", page(row(2), onwards=FIRST))
    came = await world.events()
    assert came == Read("rubbish", 2, False, None, 2, "the pages lead in a circle")
    assert (world.provider.paths, world.reasons) == ([FIRST, "/2"], [("invalid_field", came.problem)])


async def test_the_same_rows_at_ever_new_links_end_and_make_no_events(world: World) -> None:
    async def again(request: object) -> object:
        return await page(row(1), row(2), onwards=f"/page{len(world.provider.seen)}")(request)  # type: ignore[arg-type]

    world.provider.otherwise = again  # type: ignore[assignment]
    came = await world.events()
    assert came == Read("rubbish", 2, False, None, 1, "the pages repeat the same rows")
    assert (len(world.provider.seen), world.bodies) == (3, [row(1), row(2)])


async def test_a_last_page_that_leads_to_the_first_by_another_name_makes_no_events(world: World) -> None:
    world.provider.at(FIRST, page(row(1), onwards="/2"))
    world.provider.at("/2", page(row(2), onwards="/1"))
    world.provider.at("/1", page(row(1), onwards="/2"))
    came = await world.events()
    assert came == Read("rubbish", 2, False, None, 2, "the pages lead in a circle")
    assert (world.bodies, world.ordinals) == ([row(1), row(2)], [0, 0])


async def test_pages_that_go_round_at_ever_new_links_make_no_events(world: World) -> None:
    async def again(request: object) -> object:
        seen = len(world.provider.seen)
        return await page(row(seen % 3), onwards=f"/page{seen}")(request)  # type: ignore[arg-type]

    world.provider.otherwise = again  # type: ignore[assignment]
    came = await world.events()
    assert came == Read("rubbish", 3, False, None, 3, "the pages repeat the same rows")
    assert (world.bodies, world.ordinals) == ([row(1), row(2), row(0)], [0, 0, 0])


@pytest.mark.parametrize("reach", [CALL, WINDOW])
async def test_pages_without_end_have_an_end(world: World, reach: Reach) -> None:
    async def another(request: object) -> object:
        seen = len(world.provider.seen)
        return await page(row(seen), onwards=f"/page{seen}")(request)  # type: ignore[arg-type]

    world.provider.otherwise = another  # type: ignore[assignment]
    reach = reach._replace(max_pages=reach.max_pages // 20)
    came = await world.events(reach)
    assert came == Read(
        "rubbish",
        reach.max_pages,
        False,
        None,
        reach.max_pages,
        f"there are more than {reach.max_pages} pages",
    )
    assert len(world.provider.seen) == reach.max_pages


def test_a_window_may_be_longer_than_a_call() -> None:
    assert Reach("not_ready", 200) == CALL
    assert Reach("not_found", 20_000) == WINDOW


async def test_a_link_cannot_move_rows_to_another_call(world: World) -> None:
    other = EVENTS.replace(CALL_SID, "CA0f000000000000000000000000000666")
    world.provider.at(FIRST, page(onwards=other))
    world.provider.at(other, page(row(1)))
    await world.events()
    assert [one.key for one in world.beach.rows] == [f"twilio:{CALL_SID}".encode()]


async def test_a_link_cannot_smuggle_a_request(world: World) -> None:
    world.provider.at(FIRST, page(row(1), onwards="/x HTTP/1.1\r\nHost: evil\r\n\r\nGET /y"))
    came = await world.events()
    assert (came.outcome, came.problem, world.provider.paths) == (
        "rubbish",
        "the next page's link is no URL",
        [FIRST],
    )


# -- what is never asked


@pytest.mark.parametrize("source", [source for source, one in RESOURCES.items() if one.of_call])
def test_an_id_that_is_none_is_the_askers_fault(source: str) -> None:
    came = url_of_call(RESOURCES[source], twilio(), "../Messages?x=", None)
    assert came == Read("client_error", problem="a call's id has 1 to 128 letters, digits and `_.:-`")


def test_what_is_read_by_window_only_is_not_asked_about_a_call() -> None:
    came = url_of_call(RESOURCES["telnyx_webhook_delivery"], telnyx(), LEG, None)
    assert came == Read("client_error", problem="telnyx_webhook_delivery is not asked about a call")


async def test_credentials_in_clear_are_refused_before_anybody_has_a_turn(world: World) -> None:
    with pytest.raises(InsecureUrlError):
        await world.read(RESOURCES["twilio_call_event"], twilio("http://10.0.0.1"), "http://10.0.0.1" + FIRST)
    with pytest.raises(ValueError):
        await world.read(RESOURCES["twilio_call_event"], twilio(), world.provider.url + FIRST)
    assert (world.gate.most_inside, world.told.requests) == (0, [])


async def test_whoever_stops_reading_leaves_the_turn(world: World) -> None:
    world.provider.otherwise = silent
    reading = asyncio.create_task(world.events())
    while not world.provider.seen:
        await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert world.gate.inside == 0


def test_no_credentials_are_shown_by_what_a_read_is_made_of() -> None:
    no_secrets_in(twilio(), telnyx(), RESOURCES, Client(), Means())
