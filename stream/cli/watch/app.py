"""The live view as a Textual app: a list to move in, and a screen of its own for what is chosen."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.console import Group
from rich.text import Text
from textual import events, on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option
from textual.worker import WorkerFailed

from stream.archive.questions import CallFilter
from stream.cli.local.service_figures import ScrapedFigures, ServiceFigures
from stream.cli.query.reader import CallReader, NoAnswerError
from stream.cli.support.drawing import safe_address, text
from stream.cli.watch.browser import open_in_browser
from stream.cli.watch.items import WatchedState, WatchItem, WatchSection, sections
from stream.cli.watch.lines import address_line, line_of
from stream.cli.watch.polling import read_state
from stream.cli.watch.screens import AddressesScreen, CallScreen, ConditionScreen
from stream.cli.watch.strip import strip
from stream.service.errors import safe_traceback

LOOK_EVERY_S = 2.0
MOST_NOTES = 4
NOT_READ = "reading …"
_OF_THE_LIST = frozenset({"open", "filter", "group", "clear", "up", "down"})


class WatchApp(App[None]):
    """Lists open conditions and failed calls, and reads them again while it is not paused. Above them are the
    figures of the service.

    - `now`: the time of day, for the first line; `ui_url`: of the page, empty for none;
      `links`: names and addresses that a person wants to know.
    """

    ENABLE_COMMAND_PALETTE = False
    TITLE = "callstream watch"
    CSS = """
    #state { height: 1; background: $panel; padding: 0 1; }
    #strip { height: 2; padding: 0 1; }
    #notes, #links { height: auto; padding: 0 1; }
    #items { height: 1fr; border: none; padding: 0 1; }
    #filter { display: none; height: 1; border: none; padding: 0 1; }
    #filter.open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "timeline", priority=False),
        Binding("slash", "filter", "filter"),
        Binding("v", "group", "by verdict/time"),
        Binding("p", "pause", "pause"),
        Binding("o", "page", "page"),
        Binding("a", "addresses", "addresses"),
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
        Binding("j", "down", "down", show=False),
        Binding("k", "up", "up", show=False),
        Binding("escape", "clear", "clear the filter", show=False),
    ]

    def __init__(
        self,
        reader: CallReader,
        wanted: CallFilter,
        figures: ScrapedFigures,
        *,
        now: Callable[[], str] = lambda: time.strftime("%H:%M:%S UTC", time.gmtime()),
        ui_url: str = "",
        links: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__()
        self.paused = False
        self.notes: deque[str] = deque(maxlen=MOST_NOTES)
        self._source = figures
        self._figures = ServiceFigures()
        self._figuring = False
        self._ui_url = ui_url
        self._links = links
        self._reader = reader
        self._wanted = wanted
        self._now = now
        self._filter = ""
        self._grouped = True
        self._state = WatchedState((), ())
        self._read_at = NOT_READ
        self._trouble = ""
        self._looking = False
        self._items: dict[str, WatchItem] = {}
        self._shown: list[WatchSection] | None = None
        self._filling = False
        self._moved = False

    async def show(self) -> None:
        """Run until it is left. Without the mouse: the terminal itself opens links and copies text."""
        await self.run_async(mouse=False)

    def compose(self) -> ComposeResult:
        yield Static(id="state")
        yield Static(id="strip")
        yield Static(id="notes")
        yield OptionList(id="items")
        yield Input(placeholder="words that an item must have; Enter keeps them, Escape clears", id="filter")
        yield Static(id="links")
        yield Footer()

    def on_mount(self) -> None:
        self._list.focus()
        self.watch(self._list, "highlighted", self._highlighted, init=False)
        self._tell()
        self._draw_figures()
        self.look()
        self.look_at_figures()
        self.set_interval(LOOK_EVERY_S, self._look_again)
        self.set_interval(LOOK_EVERY_S, self.look_at_figures)

    def on_resize(self, _: events.Resize) -> None:
        self._shown = None
        self._draw()
        self._draw_figures()

    def note(self, said: str) -> None:
        """Show a sentence about the service until MOST_NOTES newer ones have come."""
        self.notes.append(said)
        self._draw_figures()

    @property
    def _list(self) -> OptionList:
        return self.screen_stack[0].query_one("#items", OptionList)

    def _look_again(self) -> None:
        if not self.paused:
            self.look()

    @work
    async def look(self) -> None:
        """Read what is listed. If that fails, what was read before stays, and the first line says why."""
        if self._looking:  # a read may take longer than the time between two
            return
        self._looking = True
        try:
            self._state = await read_state(self._reader, self._wanted)
        except NoAnswerError as error:
            self._trouble = str(error)
        else:
            self._trouble, self._read_at = "", self._now()
        finally:
            self._looking = False
        self._draw()

    @work
    async def look_at_figures(self) -> None:
        """Read the figures, also while the list is paused."""
        if self._figuring:
            return
        self._figuring = True
        try:
            self._figures = await self._source.look()
        finally:
            self._figuring = False
        self._draw_figures()

    # -- what is shown

    def _draw_figures(self) -> None:
        """The strip, what is wrong below it, and as many addresses as there is room for."""
        if not self._can_draw():
            return
        width, height = self.size
        notes = [*self.notes, *self._figures.reasons][-MOST_NOTES:]
        links = self._links[: max(1, (height - 16) // 4)]
        self._show_in("#strip", [strip(self._figures, width - 2)])
        self._show_in("#notes", [text(f"! {note}", "yellow") for note in notes])
        self._show_in("#links", [address_line(name, address, "dim") for name, address in links])

    def _can_draw(self) -> bool:
        """Not before it has begun, nor while it ends: a read may come back then."""
        return self.is_running and bool(self.screen_stack) and bool(self.screen_stack[0].query("#links"))

    def _show_in(self, place: str, lines: list[Text]) -> None:
        shown = self.screen_stack[0].query_one(place, Static)
        shown.update(Group(*lines))
        shown.display = bool(lines)

    def _draw(self) -> None:
        """Fill the list, unless it already shows this.

        The chosen item stays chosen. While nothing was chosen with a key, that is the first item.
        """
        if not self._can_draw():
            return
        self._tell()
        found = sections(self._state, self._filter, grouped=self._grouped, ui_url=self._ui_url)
        if found == self._shown:
            return
        self._shown = found
        items = self._list
        chosen = items.highlighted_option.id if items.highlighted_option is not None else None
        at = items.highlighted or 0
        self._items = {item.id: item for section in found for item in section.items}
        self._filling = True
        items.clear_options()
        items.add_options(self._options(found))
        if not self._moved:
            self._choose_near(0)
            items.scroll_home(animate=False)
        elif chosen in self._items:
            items.highlighted = items.get_option_index(str(chosen))
        else:
            self._choose_near(at)
        self._filling = False

    def _highlighted(self, _: int | None) -> None:
        self._moved = self._moved or not self._filling

    def _choose_near(self, at: int) -> None:
        """What was chosen is gone: choose what stands there now, else the first item."""
        options = self._list.options
        enabled = [position for position, option in enumerate(options) if not option.disabled]
        after = [position for position in enabled if position >= at]
        self._list.highlighted = after[0] if after else enabled[-1] if enabled else None

    def _options(self, found: list[WatchSection]) -> list[Option]:
        width = max(20, self.size.width - 4)
        options = []
        for section in found:
            options.append(Option(text(section.heading, "bold dim"), disabled=True))
            options += [Option(line_of(item, width), id=item.id) for item in section.items]
            if section.left_out:
                options.append(Option(text(f"and {section.left_out} more: / or v", "dim"), disabled=True))
        return options

    def _tell(self) -> None:
        """The first line: when and where it was read, the filter, and what is wrong."""
        parts = [text(f"{self._read_at}  ", "bold")]
        if self.paused:
            parts.append(text("paused  ", "bold yellow"))
        if self._filter:
            parts.append(text(f"filter: {self._filter}  ", "cyan"))
        # A service that begins has no archive yet.
        wrong = "yellow" if self._read_at == NOT_READ else "bold red"
        parts.append(text(self._trouble, wrong) if self._trouble else text(self._reader.where, "dim"))
        line = Text.assemble(*parts)
        line.truncate(max(1, self.size.width - 2), overflow="ellipsis")
        self.screen_stack[0].query_one("#state", Static).update(line)

    def _fatal_error(self) -> None:
        """Textual would print the values of all variables, which may be of a call or a secret."""
        error = self._exception.error if isinstance(self._exception, WorkerFailed) else self._exception
        said = safe_traceback(error) if error is not None else ""
        self.panic(Group(*map(text, said.splitlines())))

    # -- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Above the list, keys that act on it do nothing and are not shown."""
        if action in ("page", "addresses") and isinstance(self.screen, AddressesScreen):
            return False
        if action == "addresses" and not self._links:
            return False
        return not (action in _OF_THE_LIST and len(self.screen_stack) > 1)

    @on(OptionList.OptionSelected, "#items")
    def open_item(self, event: OptionList.OptionSelected) -> None:
        item = self._items.get(event.option_id or "")
        if item is None:
            return
        self._moved = True
        if item.alert is not None:
            self.push_screen(ConditionScreen(self._reader, item.alert, self._ui_url))
        elif item.key is not None:
            self.push_screen(CallScreen(self._reader, item.key, item.page))

    def action_open(self) -> None:
        self._list.action_select()

    def action_down(self) -> None:
        self._list.action_cursor_down()

    def action_up(self) -> None:
        self._list.action_cursor_up()

    def action_page(self) -> None:
        """Open the page of the chosen call, and show its address."""
        self._moved = True
        page = safe_address(self._chosen_page())
        if page is None:
            said = "No page of it is known: CALLSTREAM_UI_URL says where people reach the page."
            self.push_screen(AddressesScreen((), said))
        else:
            said = "Opened in the browser." if open_in_browser(page) else "Open it in a browser."
            self.push_screen(AddressesScreen([("", page)], said))

    def _chosen_page(self) -> str | None:
        if isinstance(self.screen, CallScreen | ConditionScreen):
            return self.screen.page
        chosen = self._list.highlighted_option
        item = self._items.get(chosen.id or "") if chosen is not None else None
        return item.page if item is not None else None

    def action_addresses(self) -> None:
        self.push_screen(AddressesScreen(self._links))

    def action_pause(self) -> None:
        self.paused = not self.paused
        self._tell()
        self._look_again()

    def action_group(self) -> None:
        self._grouped = not self._grouped
        self._draw()

    def action_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.add_class("open")
        field.focus()

    def action_clear(self) -> None:
        """Clear the filter, and choose the first item again."""
        self._moved, self._shown = False, None
        self.query_one("#filter", Input).value = ""
        self._close_filter()
        self._draw()

    @on(Input.Changed, "#filter")
    def _filtered(self, event: Input.Changed) -> None:
        self._filter = event.value
        self._draw()

    @on(Input.Submitted, "#filter")
    def _close_filter(self) -> None:
        self.query_one("#filter", Input).remove_class("open")
        self._list.focus()
