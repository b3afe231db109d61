"""Where the roles' parts meet: one file an agent, in the order of the flow.

`faust -A agents worker` asks this package for `app`. It is made then and not before: to import a part of the
package connects to nothing.
"""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Faust asks twice; without this it would find the module of that name the second time.
    globals()["app"] = app = importlib.import_module("agents.app").app
    return app
