"""The archive of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.archive.reader import Archive
from tests.archive.kept import Keeper, an_archive


@pytest.fixture
def kept(where: Path | str) -> Iterator[tuple[Keeper, Archive]]:
    with an_archive(where) as both:
        yield both
