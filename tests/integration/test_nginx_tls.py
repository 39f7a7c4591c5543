"""nginx with docker/nginx-tls.conf beside docker/nginx.conf: by TLS the proxy, without it only this machine's probe."""

import json
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local import ports
from tests.as_processes import program
from tests.commands import ROOT
from tests.replicas import nginx, status, wait_for


@dataclass
class Proxy:
    """Where it listens, and the certificate to trust."""

    plain: int
    tls: int
    certificate: Path


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("tls")
    found = Proxy(ports.any_free(), ports.any_free(), folder / "fullchain.pem")
    command = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    command += f" -keyout {folder / 'privkey.pem'} -out {found.certificate}"
    subprocess.run([program("openssl", "openssl"), *command.split()], check=True, capture_output=True)
    (folder / "tls.d").mkdir()
    for name, copy in (("nginx.conf", folder / "nginx.conf"), ("nginx-tls.conf", folder / "tls.d" / "tls.conf")):
        text = (ROOT / "docker" / name).read_text()
        for n in (1, 2, 3):
            text = text.replace(f"webapp-{n}:8000", f"127.0.0.1:{ports.any_free()}")  # no replica is there
        text = text.replace("listen 8080", f"listen 127.0.0.1:{found.plain}")
        text = text.replace("listen 8443", f"listen 127.0.0.1:{found.tls}").replace("/etc/nginx/tls", str(folder))
        copy.write_text(text)
    process = subprocess.Popen([nginx(), "-p", folder, "-c", folder / "nginx.conf"], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: status(f"http://127.0.0.1:{found.plain}/healthz") != 0 or process.poll() is not None)
        assert process.poll() is None
        yield found
    finally:
        process.terminate()
        process.wait(30)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def ask(url: str, context: ssl.SSLContext | None = None) -> tuple[int, dict[str, str], str]:
    """Status, headers and body, of a redirect too."""
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=30) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read().decode()


def test_by_tls_it_is_the_proxy_and_says_so_to_browsers(proxy: Proxy):
    trusted = ssl.create_default_context(cafile=str(proxy.certificate))
    code, headers, body = ask(f"https://localhost:{proxy.tls}/metrics", trusted)
    assert (code, json.loads(body)["error"]["code"]) == (404, "not_found")
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    code, _, body = ask(f"https://localhost:{proxy.tls}/v1/sample/popular", trusted)
    assert (code, json.loads(body)["error"]["code"]) == (503, "no_replica")
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        ask(f"https://localhost:{proxy.tls}/v1", ssl.create_default_context())
    old = ssl.create_default_context(cafile=str(proxy.certificate))
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(urllib.error.URLError):
        ask(f"https://localhost:{proxy.tls}/v1", old)


def test_without_tls_it_leads_there_and_answers_only_the_probe(proxy: Proxy):
    for path in ("/", "/v1/sample/popular?n=5", "/healthz/x"):
        code, headers, _ = ask(f"http://127.0.0.1:{proxy.plain}{path}")
        assert (code, headers["Location"]) == (308, f"https://127.0.0.1{path}")
    assert ask(f"http://127.0.0.1:{proxy.plain}/healthz")[0] == 503  # of the web apps, none of which is there
