"""TLS with certificate files, on a real socket."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from stream.gateway.tls import TlsError, context, renew
from tests.notify.sinks.stub_sinks import until
from tests.pseudo_terminal import PseudoTerminal


def certify(directory: Path, name: str, password: bytes | None = None) -> tuple[Path, Path]:
    """A self-signed certificate for `name`, and its key."""
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    files = directory / "tls.crt", directory / "tls.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    )
    return files


async def shown(port: int) -> str:
    """The name in the certificate that a client is shown."""
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    (name,) = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value)


async def test_a_renewed_certificate_is_taken_up_and_a_broken_one_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, key = certify(tmp_path, "first")
    made = context(certificate, key)

    async def nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(nothing, "127.0.0.1", 0, ssl=made)
    port = server.sockets[0].getsockname()[1]
    renewing = asyncio.create_task(renew(made, certificate, key, every_s=0.05))
    try:
        assert await shown(port) == "first"
        await asyncio.sleep(0.1)
        certify(tmp_path, "second")
        await asyncio.sleep(0.2)
        assert await shown(port) == "second"
        key.write_text("no key")
        await asyncio.sleep(0.2)
        assert await shown(port) == "second"
        # The certificate is replaced before its key is.
        certify(tmp_path, "second")
        (tmp_path / "another").mkdir()
        certificate.write_bytes(certify(tmp_path / "another", "third")[0].read_bytes())
        await asyncio.sleep(0.2)
        assert await shown(port) == "second"
    finally:
        renewing.cancel()
        server.close()
    assert "not taken up" in caplog.text


async def test_a_new_key_that_may_be_read_only_later_is_taken_up_then(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner is changed after it was written, which no time of change shows."""
    caplog.set_level("INFO", logger="callstream.gateway")
    certificate, key = certify(tmp_path, "first")
    made = context(certificate, key)
    load, readable, tried = ssl.SSLContext.load_cert_chain, asyncio.Event(), 0

    def load_cert_chain(self: ssl.SSLContext, *files: Path, password: str) -> None:
        nonlocal tried
        tried += 1
        if not readable.is_set():
            raise PermissionError(13, "Permission denied")
        load(self, *files, password=password)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", load_cert_chain)
    renewing = asyncio.create_task(renew(made, certificate, key, every_s=0.01))
    await asyncio.sleep(0.05)
    certify(tmp_path, "second")
    await until(lambda: tried > 1, "it is tried again")
    readable.set()
    await until(lambda: "a new certificate is in use" in caplog.text, "it is in use")
    renewing.cancel()
    assert caplog.text.count("Permission denied") == 1


async def test_files_that_cannot_be_seen_end_no_renewal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, key = certify(tmp_path, "first")
    renewing = asyncio.create_task(renew(context(certificate, key), certificate, key, every_s=0.01))
    await asyncio.sleep(0.05)
    certificate.unlink()
    certificate.symlink_to("x" * 300)  # an error of another kind than that it is missing
    await asyncio.sleep(0.1)
    assert not renewing.done()
    renewing.cancel()
    assert "not taken up" in caplog.text


def test_files_that_are_not_certificates_are_named(tmp_path: Path) -> None:
    certificate, key = certify(tmp_path, "first")
    key.write_text("no key")
    with pytest.raises(TlsError, match=r"tls\.key"):
        context(certificate, key)
    with pytest.raises(TlsError, match="cannot be read"):
        context(tmp_path / "missing", key)


def test_the_password_of_a_key_is_not_asked_for_at_a_terminal(tmp_path: Path) -> None:
    certificate, key = certify(tmp_path, "locked", password=b"secret")
    code = (
        "import pathlib, sys; from stream.gateway import tls; tls.context(*map(pathlib.Path, sys.argv[1:]))"
    )
    terminal = PseudoTerminal("-c", code, str(certificate), str(key), environ={})
    try:
        assert terminal.ended(20) == 1
    finally:
        terminal.process.kill()
    assert "the key may have a password, which is not supported" in terminal.written()
