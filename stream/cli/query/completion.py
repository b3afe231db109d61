"""`callstream completion`: the script by which a shell completes commands and options."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from stream.cli.support.terminal import say

SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
VARIABLE = "_CALLSTREAM_COMPLETE"
"""By which click recognises that a shell asks."""


@click.command("completion")
@click.argument("shell", type=click.Choice(tuple(SHELLS)))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell, to be read at its start.

    \b
    bash  callstream completion bash > ~/.local/share/bash-completion/completions/callstream
    zsh   callstream completion zsh > "${fpath[1]}/_callstream"
    fish  callstream completion fish > ~/.config/fish/completions/callstream.fish
    """
    program = context.find_root()
    script = SHELLS[shell](program.command, {}, "callstream", VARIABLE).source()
    for line in script.rstrip().split("\n"):
        say(line)
