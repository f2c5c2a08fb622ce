"""Being let in by a Prometheus that asks who we are: passwords, tokens that change, certificates of one's own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from services.errors import Rejected, Unavailable
from services.metrics.access import TENANT_HEADER, Access
from services.metrics.prometheus import MetricsReader
from tests.support.certificates import self_signed
from tests.support.prometheus import SCRAPE_S, running_prometheus
from tests.support.waiting import wait_until

PASSWORD = "grapes"
PASSWORD_HASH = "$2b$04$IXA98wyT85sBxg1L3w/KJ.kJPNHoIQR3U15DW3F9jipINunLq.OEm"
"""bcrypt of PASSWORD, as Prometheus wants it."""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A real Prometheus behind TLS and a password; its address and its certificate."""
    folder = tmp_path_factory.mktemp("guarded")
    certificate, key = self_signed(folder)
    web = folder / "web.yml"
    web.write_text(
        yaml.safe_dump(
            {
                "tls_server_config": {"cert_file": str(certificate), "key_file": str(key)},
                "basic_auth_users": {"decant": PASSWORD_HASH},
            }
        )
    )
    with running_prometheus(folder, {}, guarded_by=web) as prometheus:
        yield prometheus.url, certificate


def test_with_certificate_and_password_it_answers(guarded: tuple[str, Path]) -> None:
    url, certificate = guarded
    reader = MetricsReader(url, SCRAPE_S, access=Access(user="decant", password=PASSWORD, ca=str(certificate)))

    def answers() -> bool:
        try:
            reader.ping()
        except Unavailable:  # it listens before it is ready
            return False
        return True

    wait_until(answers, what="Prometheus to let us in")


def test_a_wrong_password_is_said_with_the_settings_to_look_at(guarded: tuple[str, Path]) -> None:
    url, certificate = guarded
    with pytest.raises(Rejected, match="401") as caught:
        MetricsReader(url, SCRAPE_S, access=Access(user="decant", password="raisins", ca=str(certificate))).ping()
    assert "DECANT_PROMETHEUS_PASSWORD" in caught.value.hint
    assert "raisins" not in str(caught.value)


def test_a_certificate_that_nobody_vouches_for_is_said_with_the_setting_for_it(guarded: tuple[str, Path]) -> None:
    with pytest.raises(Unavailable, match="is not trusted") as caught:
        MetricsReader(guarded[0], SCRAPE_S, access=Access(user="decant", password=PASSWORD)).ping()
    assert "DECANT_PROMETHEUS_CA" in caught.value.hint


@pytest.fixture
def asked() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Something that answers as Prometheus does to anybody, and the headers that came."""
    headers: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers.append(dict(self.headers))
            body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": []}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/prometheus", headers
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_token_in_a_file_is_read_again_when_it_was_renewed(
    asked: tuple[str, list[dict[str, str]]], tmp_path: Path
) -> None:
    url, headers = asked
    file = tmp_path / "token"
    reader = MetricsReader(url, SCRAPE_S, access=Access(token_file=str(file), tenant="wine"))
    for token in ("first", "second"):
        file.write_text(f"{token}\n")
        reader.ping()
    assert [seen["Authorization"] for seen in headers] == ["Bearer first", "Bearer second"]
    assert {seen[TENANT_HEADER] for seen in headers} == {"wine"}


def test_a_token_file_that_went_away_is_said_by_name(asked: tuple[str, list[dict[str, str]]], tmp_path: Path) -> None:
    reader = MetricsReader(asked[0], SCRAPE_S, access=Access(token_file=str(tmp_path / "gone")))
    with pytest.raises(Unavailable, match="gone"):
        reader.ping()
    assert asked[1] == []


def test_no_secret_shows_in_the_access_itself() -> None:
    assert "grapes" not in repr(Access(token="grapes", password="grapes"))
