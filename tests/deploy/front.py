"""A real nginx with the file that we hand out, in front of the real web process, and a certificate for a day."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.tradingsite.installation import ROOT
from tests.tradingsite.stores import free_port
from tests.tradingsite.waiting import wait_for

NAME = "trading.example.com"
EXAMPLE = ROOT / "deploy" / "nginx" / "tradingsite.conf"


@dataclass(frozen=True)
class Front:
    https: int
    http: int
    certificate: Path


def listens(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def nginx_program() -> str:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    return program


def make_certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    certificate, private = folder / "fullchain.pem", folder / "privkey.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    )
    return certificate, private


@contextmanager
def nginx(folder: Path, *, web_port: int) -> Iterator[Front]:
    """Only ports, paths and the address of the web process are others than in the example."""
    program, http, https = nginx_program(), free_port(), free_port()
    folder.mkdir()
    certificate, private = make_certificate(folder)
    text = EXAMPLE.read_text()
    for pattern, instead in {
        r"listen \[::\].*;": "",
        r"listen 80;": f"listen 127.0.0.1:{http};",
        r"listen 443": f"listen 127.0.0.1:{https}",
        r"/etc/ssl/tradingsite/fullchain.pem": str(certificate),
        r"/etc/ssl/tradingsite/privkey.pem": str(private),
        r"127\.0\.0\.1:8000": f"127.0.0.1:{web_port}",
    }.items():
        text, times = re.subn(pattern, instead, text)
        assert times, pattern
    (folder / "site.conf").write_text(text)
    user = "user root;" if os.geteuid() == 0 else ""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{}} http {{ access_log {folder}/access.log; {temporary} include {folder}/site.conf; }}\n"
    )
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr
    server = subprocess.Popen(command)
    try:
        wait_for(lambda: listens(http) and listens(https), what="nginx")
        yield Front(https=https, http=http, certificate=certificate)
    finally:
        server.terminate()
        server.wait(10)
