"""Every page in Chromium: accessible, on a phone, without scripts, by keyboard; and what scripts add."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from stream.api.ui.rendering import call_path
from tests.api.clients import READ_A
from tests.api.ui.browser.conftest import Site, visiting
from tests.api.ui.stored_calls import EDGES, FAILING, MISSING, key_of

pytestmark = pytest.mark.browser

PAGES = {
    "overview": "/ui",
    "calls": "/ui/calls?outcome=failed",
    "candidates": "/ui/find?q=CA00",
    "alerts": "/ui/alerts",
    "a call with edges": call_path(key_of(EDGES)),
    "a call with missing callbacks": call_path(key_of(MISSING)),
    "a call with requests": call_path(key_of(FAILING)),
}


CONTRAST = ["color-contrast", "link-in-text-block"]
"""What depends on the colours."""


def accessibility_of(page: Page, rules: list[str]) -> list[str]:
    """What axe finds, with the elements that it is about. `rules`: only these; empty: all."""
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": rules}
    found = Axe().run(page, options=options).response["violations"]
    return [f"{one['id']}: {[node['html'][:120] for node in one['nodes'][:3]]}" for one in found]


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_every_page_is_accessible_and_asks_only_its_own_host(
    browser: Browser, site: Site, colours: str
) -> None:
    with visiting(browser, site.local, color_scheme=colours) as visitor:
        rules = [] if colours == "light" else CONTRAST
        found = {}
        for name, path in PAGES.items():
            page = visitor.goto(path)
            for details in page.query_selector_all("details"):
                details.evaluate("one => { one.open = true }")
            found[name] = accessibility_of(page, rules)
            assert page.title().endswith(" · callstream")
        assert found == {name: [] for name in PAGES}
        assert len(visitor.requested) >= 4 + len(PAGES)


def test_every_page_fits_a_phone(browser: Browser, site: Site) -> None:
    with visiting(browser, site.local, viewport={"width": 390, "height": 844}) as visitor:
        widths = {}
        for name, path in PAGES.items():
            page = visitor.goto(path)
            widths[name] = page.evaluate("document.documentElement.scrollWidth")
            if page.locator("svg.ladder").count():
                expect(page.locator("svg.ladder.narrow")).to_be_visible()
                expect(page.locator("svg.ladder.wide")).to_be_hidden()
                assert smallest_text(page) >= 9.5
        assert widths == dict.fromkeys(PAGES, 390)
        assert accessibility_of(page, ["target-size", "color-contrast", "scrollable-region-focusable"]) == []


def smallest_text(page: Page) -> float:
    """The height of the ladder's smallest letters on the screen, in pixels."""
    return float(
        page.evaluate(
            "() => { const svg = document.querySelector('svg.ladder.narrow');"
            " return 11.5 * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width; }"
        )
    )


def test_everything_can_be_read_without_scripts(browser: Browser, site: Site) -> None:
    with visiting(browser, site.with_tokens, java_script_enabled=False) as visitor:
        page = visitor.goto(call_path(key_of(FAILING)))
        page.get_by_label("Token of the query API").fill(READ_A)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(key_of(FAILING).partition(":")[2])
        expect(page.locator("svg.ladder.wide .rung")).to_have_count(7)
        page.get_by_text("As ticket text").click()
        expect(page.locator("#ticket")).to_contain_text("Timeline (UTC")
        page.get_by_role("button", name="Dark").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        page.get_by_role("link", name="Live").click()
        expect(page.get_by_role("status")).to_contain_text("These are the newest calls")
        expect(page.locator("#live")).to_be_hidden()
        page.get_by_role("searchbox").fill(key_of(EDGES)[-8:])
        page.get_by_role("button", name="Find").click()
        expect(page.locator("svg.ladder.wide .lifeline")).to_have_count(3)
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_url(re.compile(r"/ui/login$"))
        page.go_back()
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_a_session_is_in_a_cookie_that_scripts_do_not_see(browser: Browser, site: Site) -> None:
    with visiting(browser, site.with_tokens) as visitor:
        page = visitor.goto("/ui/alerts")
        expect(page.get_by_label("Token of the query API")).to_be_focused()
        page.keyboard.type(READ_A)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Alerts")
        assert page.evaluate("document.cookie") == ""
        (cookie,) = page.context.cookies()
        assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == (
            "callstream_session",
            True,
            "Strict",
        )
        assert READ_A not in "".join(visitor.requested)


def test_the_ladder_is_walked_with_the_keyboard(browser: Browser, site: Site) -> None:
    with visiting(browser, site.local) as visitor:
        page = visitor.goto(call_path(key_of(FAILING)))
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        page.keyboard.press("Enter")
        for _ in range(3):
            page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('href')") == "#row-2"
        page.keyboard.press("Enter")
        raw = page.locator("#row-2 pre")
        expect(raw).to_be_visible()
        expect(raw).to_contain_text('"error_code": "11200"')
        expect(page.locator("#row-1 pre")).to_be_hidden()
        page.keyboard.press("/")
        expect(page.get_by_role("searchbox")).to_be_focused()


def test_the_pointer_on_a_rung_shows_the_record_behind_it(browser: Browser, site: Site) -> None:
    with visiting(browser, site.local) as visitor:
        page = visitor.goto(call_path(key_of(MISSING)))
        titles = page.locator("svg.ladder.wide .rung > title").all_text_contents()
        assert len(titles) == 5
        assert '"sequence_number": 0' in titles[0]
        assert titles[1].strip().endswith("callback 1 never came: nothing closed the gap")


def test_texts_are_copied_as_they_are_shown(browser: Browser, site: Site) -> None:
    with visiting(browser, site.local, permissions=["clipboard-read", "clipboard-write"]) as visitor:
        page = visitor.goto(call_path(key_of(FAILING)))
        page.get_by_text("As curl").click()
        page.locator("button[data-copy=curl]").click()
        expect(page.get_by_text("Copied")).to_be_visible()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == page.locator("#curl").text_content()
        assert (
            f"'{site.local}/v1/calls/twilio%3ACA" in copied or f"{site.local}/v1/calls/twilio%3ACA" in copied
        )


def test_the_overview_renews_itself_and_keeps_the_place_of_the_reader(browser: Browser, site: Site) -> None:
    with visiting(browser, site.local) as visitor:
        visitor.page.clock.install()
        page = visitor.goto("/ui")
        link = page.locator("#overview a.id").first
        link.focus()
        before = page.locator("#overview time").first.text_content()
        time.sleep(1.1)  # it tells seconds
        with page.expect_response("**/ui/parts/overview") as renewed:
            page.clock.fast_forward(11_000)
        assert renewed.value.status == 200
        expect(page.locator("#overview time").first).not_to_have_text(before or "")
        expect(link).to_be_focused()
        assert page.locator("#overview").count() == 1


def test_events_appear_as_they_come_and_stay_text(browser: Browser, site: Site) -> None:
    with visiting(browser, site.local) as visitor:
        page = visitor.goto("/ui/live?status=completed")
        rows = page.locator("#live-rows tr")
        expect(rows).to_have_count(4)
        assert [one.strip() for one in rows.all_inner_texts()] == [
            "Too many records wait for this client.",
            "10:00:02.500\tCA2\tcompleted, error\tcompleted\tSIP 503, 11200\ttwilio status callback",
            "10:00:02.500\tCA1\t<img src=x onerror=alert(1)>, late\tcompleted\tSIP 503, 11200"
            "\ttwilio status callback",
            "10:00:02.500\tCA0\tinitiated\tcompleted\tSIP 503, 11200\ttwilio status callback",
        ]
        expect(rows.nth(1).get_by_role("link")).to_have_attribute("href", "/ui/calls/twilio%3ACA2")
        expect(page.get_by_role("status")).to_have_text("Not connected: trying again…")
        assert accessibility_of(page, []) == []
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("button", name="Continue")).to_have_attribute("aria-pressed", "true")
        expect(page.get_by_role("status")).to_have_text("Paused: 0 events wait.")


def test_events_that_came_while_the_server_refused_are_said_to_be_missing(
    browser: Browser, site: Site
) -> None:
    answers = iter((200, 503, 200))

    def answer(route: Route) -> None:
        body = 'retry: 10\nevent: event\ndata: {"key": "twilio:CA1", "name": "ringing"}\n\n'
        route.fulfill(status=next(answers, 204), content_type="text/event-stream", body=body)

    with visiting(browser, site.local) as visitor:
        visitor.page.route("**/v1/live*", answer)
        page = visitor.goto("/ui/live")
        rows = page.locator("#live-rows tr")
        expect(rows).to_have_count(3, timeout=20_000)
        assert rows.nth(1).inner_text().startswith("The server did not answer for a while")
        # The browser itself tells of the refusal.
        assert all("503" in one for one in visitor.wrong)
        visitor.wrong.clear()
