"""What opens above the list: the timeline of a call, what a condition says, and addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.console import Group
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from stream.cli.query.call import read_timeline
from stream.cli.query.flight_recorder import fact, flight_recorder
from stream.cli.query.reader import CallReader, NoAnswerError
from stream.cli.query.words import short_id, short_time
from stream.cli.support.drawing import text
from stream.cli.support.terminal import Fault
from stream.cli.watch.items import Alert, details_of, page_of
from stream.cli.watch.lines import address_line
from stream.timeline.call_timeline import CallTimeline

LOOK_EVERY_S = 5.0

_BACK: list[BindingType] = [
    Binding("escape", "app.pop_screen", "back"),
    Binding("left,backspace", "app.pop_screen", "back", show=False),
    Binding("q", "app.quit", "quit"),
]


class CallScreen(Screen[None]):
    """The timeline of one call, which is read again while it is shown."""

    CSS = "#scroll { padding: 0 1; }"
    BINDINGS: ClassVar[list[BindingType]] = _BACK

    def __init__(self, reader: CallReader, key: str, page: str | None) -> None:
        super().__init__()
        self.page = page
        self._reader = reader
        self._key = key
        self._timeline: CallTimeline | None = None
        self._looking = False

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="scroll"):
            yield Static(text("reading …", "dim"), id="timeline")
        yield Footer()

    def on_mount(self) -> None:
        self.query_one("#scroll").focus()
        self.look()
        self.set_interval(LOOK_EVERY_S, self._look_again)

    def on_resize(self, _: events.Resize) -> None:
        self._draw()

    def _look_again(self) -> None:
        if not getattr(self.app, "paused", False):
            self.look()

    @work
    async def look(self) -> None:
        if self._looking:
            return
        self._looking = True
        try:
            self._timeline = await read_timeline(self._reader, self._key)
        except (NoAnswerError, Fault) as error:
            self._draw(str(error))
        else:
            self._draw()
        finally:
            self._looking = False

    def _draw(self, trouble: str = "") -> None:
        """Show the timeline in the width of the screen, or what keeps it from being read."""
        for shown in self.query("#timeline").results(Static):  # none while the screen is closed
            if trouble:
                shown.update(text(trouble, "red"))
            elif self._timeline is not None:
                shown.update(flight_recorder(self._timeline, max(20, self.size.width - 4)))


class ConditionScreen(Screen[None]):
    """What a condition says, and its newest calls to choose from."""

    CSS = """
    #details { padding: 0 1; height: auto; }
    #samples { height: 1fr; border: none; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = _BACK

    def __init__(self, reader: CallReader, alert: Alert, ui_url: str) -> None:
        super().__init__()
        self._reader = reader
        self._alert = alert
        self._ui_url = ui_url

    @property
    def page(self) -> str | None:
        """That of the chosen call."""
        chosen = self.query_one("#samples", OptionList).highlighted_option
        return page_of(chosen.id, self._ui_url) if chosen is not None else None

    def compose(self) -> ComposeResult:
        yield Static(Group(*(fact(name, said) for name, said in details_of(self._alert))), id="details")
        yield OptionList(id="samples")
        yield Footer()

    def on_mount(self) -> None:
        samples = self.query_one("#samples", OptionList)
        samples.add_option(Option(text("calls that showed it; Enter opens one", "bold dim"), disabled=True))
        for key, sample in self._samples().items():
            line = f"{short_time(sample.get('at'))}  {short_id(key)}  {sample.get('text') or ''}"
            samples.add_option(Option(text(line), id=key))
        samples.focus()
        if samples.option_count > 1:
            samples.highlighted = 1

    def _samples(self) -> dict[str, Alert]:
        """By key, the newest first; a call may be there several times."""
        found = reversed(self._alert.get("samples") or [])
        return {str(sample["key"]): sample for sample in found if sample.get("key")}

    @on(OptionList.OptionSelected, "#samples")
    def open_call(self, event: OptionList.OptionSelected) -> None:
        if event.option_id is not None:
            page = page_of(event.option_id, self._ui_url)
            self.app.push_screen(CallScreen(self._reader, event.option_id, page))


class AddressesScreen(Screen[None]):
    """Addresses in full, each a link where the terminal has links."""

    CSS = "#addresses { padding: 1; height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        *_BACK,
        Binding("enter,o,a", "app.pop_screen", "back", show=False),
    ]

    def __init__(self, addresses: Sequence[tuple[str, str]], said: str = "") -> None:
        super().__init__()
        self._addresses = addresses
        self._said = said

    def compose(self) -> ComposeResult:
        rows = [address_line(name, address) for name, address in self._addresses]
        yield Static(Group(*rows, text(), text(self._said, "dim")), id="addresses")
        yield Footer()
