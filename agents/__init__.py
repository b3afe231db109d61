"""The Faust app (`app`) and the job that runs on its lanes (`processor`).

`faust -A agents worker` asks this package for `app`. It is made only then: importing a part of the package
connects to nothing.
"""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Faust reads it twice. Without this, the second time it would find the module of that name.
    globals()["app"] = app = importlib.import_module("agents.app").app
    return app
