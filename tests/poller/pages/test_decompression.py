"""Compressed bodies: whole, truncated, mislabelled, and decompression bombs."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.poller.pages.client import Decompressor, NoResponse

COMPRESS = {
    "": bytes,
    "identity": bytes,
    "br": bytes,
    "gzip": gzip.compress,
    "X-GZIP ": gzip.compress,
    "deflate": zlib.compress,
}


def decompressed(encoding: str, compressed: bytes, limit: int = 1000, step: int = 7) -> bytes:
    decompressor = Decompressor(encoding, limit)
    for at in range(0, len(compressed), step):
        decompressor.feed(compressed[at : at + step])
    return decompressor.finish()


def bare(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


@given(st.sampled_from(sorted(COMPRESS)), st.binary(max_size=1000), st.integers(1, 2000))
def test_a_body_is_decompressed_unchanged(encoding: str, body: bytes, step: int) -> None:
    assert decompressed(encoding, COMPRESS[encoding](body), step=step) == body


@pytest.mark.parametrize("step", [1, 2, 100_000])
@pytest.mark.parametrize("body", [b"", b"a", b'{"events":[]}' * 20])
def test_a_deflate_without_its_header_is_read_too(body: bytes, step: int) -> None:
    assert decompressed("deflate", bare(body), step=step) == body


@pytest.mark.parametrize("encoding", sorted(COMPRESS))
def test_a_body_at_the_limit_is_whole_and_a_byte_more_is_too_large(encoding: str) -> None:
    pack = COMPRESS[encoding]
    assert decompressed(encoding, pack(b"x" * 1000)) == b"x" * 1000
    with pytest.raises(NoResponse) as raised:
        decompressed(encoding, pack(b"x" * 1001))
    assert (raised.value.kind, raised.value.beginning) == ("too_large", b"x" * 1000)


def test_a_decompression_bomb_stops_at_the_limit() -> None:
    bomb = gzip.compress(b"\0" * (8 << 20))
    decompressor = Decompressor("gzip", 10_000)
    tracemalloc.start()
    try:
        with pytest.raises(NoResponse, match=r"^too_large: more than 10000 bytes$"):
            decompressor.feed(bomb)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1 << 20


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("step", [1, 100_000])
def test_a_body_that_is_truncated_continues_or_was_never_compressed_is_an_error(
    encoding: str, step: int
) -> None:
    whole = COMPRESS[encoding](b'{"events":[1,2,3]}' * 10)
    for odd in (whole[:-1], whole[:-6], whole + whole, whole + b"x", b"<html>" * 10):
        with pytest.raises(NoResponse, match=r"^network_error: the "):
            decompressed(encoding, odd, step=step)
