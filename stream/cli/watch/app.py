"""The live view as a Textual app: a list to move in, and a screen of its own for what is chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option

from stream.archive.questions import CallFilter
from stream.cli.query.reader import CallReader, NoAnswerError
from stream.cli.support.drawing import text
from stream.cli.watch.items import WatchedState, WatchItem, WatchSection, sections
from stream.cli.watch.lines import line_of
from stream.cli.watch.polling import read_state
from stream.cli.watch.screens import CallScreen, ConditionScreen

LOOK_EVERY_S = 2.0
_OF_THE_LIST = frozenset({"open", "filter", "group", "clear", "up", "down"})


class WatchApp(App[None]):
    """Lists open conditions and failed calls, and reads them again while it is not paused.

    `now`: the time of day, for the first line.
    """

    ENABLE_COMMAND_PALETTE = False
    TITLE = "callstream watch"
    CSS = """
    #state { height: 1; background: $panel; padding: 0 1; }
    #items { height: 1fr; border: none; padding: 0 1; }
    #filter { display: none; height: 1; border: none; padding: 0 1; }
    #filter.open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "timeline", priority=False),
        Binding("slash", "filter", "filter"),
        Binding("v", "group", "by verdict/time"),
        Binding("p", "pause", "pause"),
        Binding("q", "quit", "quit"),
        Binding("j", "down", "down", show=False),
        Binding("k", "up", "up", show=False),
        Binding("escape", "clear", "clear the filter", show=False),
    ]

    def __init__(self, reader: CallReader, wanted: CallFilter, now: Callable[[], str]) -> None:
        super().__init__()
        self.paused = False
        self._reader = reader
        self._wanted = wanted
        self._now = now
        self._filter = ""
        self._grouped = True
        self._state = WatchedState((), ())
        self._read_at = "reading …"
        self._trouble = ""
        self._looking = False
        self._items: dict[str, WatchItem] = {}
        self._shown: list[WatchSection] | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="state")
        yield OptionList(id="items")
        yield Input(placeholder="words that an item must have; Enter keeps them, Escape clears", id="filter")
        yield Footer()

    def on_mount(self) -> None:
        self._list.focus()
        self._tell()
        self.look()
        self.set_interval(LOOK_EVERY_S, self._look_again)

    def on_resize(self, _: events.Resize) -> None:
        self._shown = None
        self._draw()

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

    # -- what is shown

    def _draw(self) -> None:
        """Fill the list, unless it already shows this. The chosen item stays chosen."""
        if not self.screen_stack or not self.screen_stack[0].query("#items"):
            return  # the app is ending, and a read has just come back
        self._tell()
        found = sections(self._state, self._filter, grouped=self._grouped)
        if found == self._shown:
            return
        self._shown = found
        items = self._list
        chosen = items.highlighted_option.id if items.highlighted_option is not None else None
        at = items.highlighted or 0
        self._items = {item.id: item for section in found for item in section.items}
        items.clear_options()
        items.add_options(self._options(found))
        if chosen in self._items:
            items.highlighted = items.get_option_index(str(chosen))
        else:
            self._choose_near(at)

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
        parts.append(text(self._trouble, "bold red") if self._trouble else text(self._reader.where, "dim"))
        line = Text.assemble(*parts)
        line.truncate(max(1, self.size.width - 2), overflow="ellipsis")
        self.screen_stack[0].query_one("#state", Static).update(line)

    # -- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Above the list, keys that act on it do nothing and are not shown."""
        return not (action in _OF_THE_LIST and len(self.screen_stack) > 1)

    @on(OptionList.OptionSelected, "#items")
    def open_item(self, event: OptionList.OptionSelected) -> None:
        item = self._items.get(event.option_id or "")
        if item is None:
            return
        if item.alert is not None:
            self.push_screen(ConditionScreen(self._reader, item.alert))
        elif item.key is not None:
            self.push_screen(CallScreen(self._reader, item.key))

    def action_open(self) -> None:
        self._list.action_select()

    def action_down(self) -> None:
        self._list.action_cursor_down()

    def action_up(self) -> None:
        self._list.action_cursor_up()

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
        self.query_one("#filter", Input).value = ""
        self._close_filter()

    @on(Input.Changed, "#filter")
    def _filtered(self, event: Input.Changed) -> None:
        self._filter = event.value
        self._draw()

    @on(Input.Submitted, "#filter")
    def _close_filter(self) -> None:
        self.query_one("#filter", Input).remove_class("open")
        self._list.focus()
