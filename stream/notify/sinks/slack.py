"""Slack, by an incoming webhook: one message for each notification, in Block Kit.

An incoming webhook answers `ok`, not the message's time stamp, so a message cannot be changed and has no
thread: each notification is a message of its own, and names the group's key, which one can search for.
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from __future__ import annotations

from typing import Any

import orjson

from stream.notify.grouping import Notification
from stream.notify.sinks.sink import SinkRequest
from stream.notify.wording import counts, examples, headline
from stream.service.tables.notify_tables import SinkSetting

HEADER_LIMIT = 150
SECTION_LIMIT = 3000
"""Characters of a header's and of a section's text."""

_SIGNS = {"critical": "🔴", "warning": "🟠", "info": "🔵"}
RESOLVED_SIGN = "✅"


def request(sink: SinkSetting, told: Notification) -> SinkRequest:
    sign = RESOLVED_SIGN if told.tells_of_an_end else _SIGNS.get(told.severity, "")
    newest = told.alerts[0]
    text = "\n".join(map(_escaped, examples(told)))
    links = " · ".join(
        f"<{_escaped(url)}|{_escaped(name.replace('_', ' '))}>" for name, url in newest.web_links.items()
    )
    context = f"{counts(told)} · since {told.starts_at} · `{told.group.key}`"
    blocks = [
        {"type": "header", "text": _plain(f"{sign} {headline(told)}"[:HEADER_LIMIT])},
        {"type": "section", "text": _markdown(_cut(text))},
        *([{"type": "section", "text": _markdown(links)}] if links and len(links) <= SECTION_LIMIT else []),
        {"type": "context", "elements": [_markdown(context)]},
    ]
    # `text` is what a notification on a phone shows, and a client without blocks.
    return SinkRequest(sink.url, orjson.dumps({"text": _escaped(headline(told)), "blocks": blocks}))


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": True}


def _markdown(text: str) -> dict[str, Any]:
    # Verbatim: Slack would make links of URLs and of names of channels in it.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _escaped(text: str) -> str:
    """So that no text of an alert is a link, a mention or a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str) -> str:
    return text if len(text) <= SECTION_LIMIT else text[: SECTION_LIMIT - 1] + "…"
