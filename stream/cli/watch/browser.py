"""Opens a page in the browser of this desktop, if there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading


def open_in_browser(address: str) -> bool:
    """Returns whether a browser was asked to open it.

    Over SSH it would open on the other machine. A browser of the terminal would write over the view.
    """
    on_mac = sys.platform == "darwin"
    desktop = on_mac or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    opener = shutil.which("open" if on_mac else "xdg-open")
    if opener is None or not desktop or os.environ.get("SSH_CONNECTION"):
        return False
    nothing = subprocess.DEVNULL
    how = {"stdin": nothing, "stdout": nothing, "stderr": nothing, "start_new_session": True, "check": False}
    # Some openers last as long as the browser.
    threading.Thread(target=subprocess.run, args=([opener, address],), kwargs=how, daemon=True).start()
    return True
