"""Where the dashboard may listen, how it is started, and what is written down for sign-in."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from services.access.exposure import check_exposure, loopback, open_gateway
from services.access.headers import response_headers
from services.access.provider import check_provider, secrets_file, write_secrets
from services.errors import InvalidInput, Unavailable
from services.runtime.dashboard import prepare
from services.settings import ROOT, Settings, load_settings
from tests.support.waiting import free_port

OIDC = {
    "sign_in": "oidc",
    "oidc_issuer": "https://id.example.com/realms/ml/",
    "oidc_client_id": "decant",
    "oidc_client_secret": 's"e\\cret',
}


def settings(folder: Path, **values: Any) -> Settings:
    return Settings(state_dir=folder, **values)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost"])
def test_this_machine_alone(address: str) -> None:
    assert loopback(address)


@pytest.mark.parametrize("address", ["", "0.0.0.0", "::", "10.0.0.7", "decant.example.com", "127.0.0.1.example.com"])
def test_the_network(address: str, tmp_path: Path) -> None:
    assert not loopback(address)
    with pytest.raises(InvalidInput, match="nobody has to sign in") as caught:
        check_exposure(settings(tmp_path), address)
    assert "DECANT_SIGN_IN=oidc" in caught.value.hint
    assert "DECANT_ALLOW_WITHOUT_SIGN_IN" in caught.value.hint
    check_exposure(settings(tmp_path, allow_without_sign_in=True), address)
    check_exposure(settings(tmp_path, **OIDC), address)


@pytest.mark.parametrize("module", [("app", "up"), ("app", "up", "--background"), ("services.runtime.dashboard",)])
def test_a_start_that_would_let_everybody_in_is_refused(tmp_path: Path, module: tuple[str, ...]) -> None:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("DECANT_", "MLFLOW_"))}
    done = subprocess.run(
        [sys.executable, "-m", *module],
        cwd=ROOT,
        env={**inherited, "DECANT_STATE_DIR": str(tmp_path / "state"), "DECANT_DASHBOARD_ADDRESS": "0.0.0.0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == InvalidInput.exit_code
    assert "would listen on 0.0.0.0" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "state" / "supervisor").exists()
    assert "stopped" not in done.stderr, "nothing was started"


def test_streamlit_is_told_where_to_listen_and_which_names_are_its_own(tmp_path: Path) -> None:
    at_home = prepare(settings(tmp_path))
    assert "--server.address=127.0.0.1" in at_home
    assert [o for o in at_home if "allowedHosts" in o] == [
        f"--server.allowedHosts={host}" for host in ("localhost", "127.0.0.1", "::1")
    ]
    public = prepare(settings(tmp_path, **OIDC, dashboard_address="0.0.0.0", public_url="https://decant.example.com/"))
    assert "--server.allowedHosts=decant.example.com" in public
    assert "--server.corsAllowedOrigins=https://decant.example.com" in public
    assert "--server.enableXsrfProtection=true" in public
    anywhere = prepare(settings(tmp_path, dashboard_address="0.0.0.0", allow_without_sign_in=True))
    assert "--server.allowedHosts=*" in anywhere


def test_nobody_may_frame_the_dashboard_but_the_sites_that_are_named(tmp_path: Path) -> None:
    nobody = response_headers(settings(tmp_path))
    assert (nobody["content-security-policy"], nobody["x-frame-options"]) == ("frame-ancestors 'none'", "DENY")
    sites = "https://wiki.example.com, https://*.intern.example:8443,http://localhost:3000"
    some = response_headers(settings(tmp_path, frame_ancestors=sites))
    assert some["content-security-policy"] == f"frame-ancestors {sites.replace(',', ' ').replace('  ', ' ')}"
    assert "x-frame-options" not in some, "it can name no site, and a browser may heed it beside the other"
    assert all(found["x-content-type-options"] == "nosniff" for found in (nobody, some))


@pytest.mark.parametrize(
    "site",
    ["wiki.example.com", "https://x/wiki", "*", "https://", "https://x; script-src *", "https://x\nset-cookie: a"],
)
def test_what_is_no_site_is_refused_before_it_is_a_header(
    site: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DECANT_FRAME_ANCESTORS", site)
    with pytest.raises(InvalidInput, match=r"(?s)DECANT_FRAME_ANCESTORS: .* is not a site"):
        load_settings(state_dir=tmp_path)


def test_what_streamlit_needs_is_written_for_this_user_alone(tmp_path: Path) -> None:
    made = settings(tmp_path / "state", **OIDC, public_url="https://decant.example.com", oidc_scopes="openid groups")
    file = write_secrets(made)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    auth = tomllib.loads(file.read_text())["auth"]
    assert auth["client_secret"] == 's"e\\cret'
    assert auth["redirect_uri"] == "https://decant.example.com/oauth2callback"
    assert auth["server_metadata_url"] == "https://id.example.com/realms/ml/.well-known/openid-configuration"
    assert auth["client_kwargs"] == {"scope": "openid groups"}
    assert len(auth["cookie_secret"]) >= 32
    again = tomllib.loads(write_secrets(made).read_text())["auth"]
    assert again["cookie_secret"] == auth["cookie_secret"], "a restart would sign everybody out"
    assert f"--secrets.files={file}" in prepare(made)
    assert 's"e' not in " ".join(prepare(made)), "command lines are for everybody to see"
    assert 's"e' not in repr(made)


def test_dashboards_that_start_at_once_all_find_whole_secrets_and_the_same(tmp_path: Path) -> None:
    made = settings(tmp_path / "state", **OIDC)

    def start(_: int) -> str:
        return str(tomllib.loads(write_secrets(made).read_text())["auth"]["cookie_secret"])

    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(start, range(64)))
    assert len(found) == 1
    folder = secrets_file(made).parent
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert sorted(path.name for path in folder.iterdir()) == ["cookie-secret", "secrets.toml"]


def test_secrets_may_be_files_as_clusters_mount_them(tmp_path: Path) -> None:
    (tmp_path / "client").write_text("from-a-file\n")
    (tmp_path / "cookie").write_text("c" * 40)
    given = {**OIDC, "oidc_client_secret": "", "oidc_client_secret_file": str(tmp_path / "client")}
    made = settings(tmp_path / "state", **given, oidc_cookie_secret_file=str(tmp_path / "cookie"))
    auth = tomllib.loads(write_secrets(made).read_text())["auth"]
    assert (auth["client_secret"], auth["cookie_secret"]) == ("from-a-file", "c" * 40)
    gone = settings(tmp_path / "state", **{**given, "oidc_client_secret_file": str(tmp_path / "none")})
    with pytest.raises(InvalidInput, match="cannot be read"):
        write_secrets(gone)


def test_sign_in_without_a_provider_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="DECANT_OIDC_ISSUER, DECANT_OIDC_CLIENT_ID, DECANT_OIDC_CLIENT_SECRET"):
        prepare(settings(tmp_path, sign_in="oidc"))


def test_a_provider_that_is_down_is_named(tmp_path: Path) -> None:
    issuer = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unavailable, match="The identity provider does not answer") as caught:
        check_provider(settings(tmp_path, **{**OIDC, "oidc_issuer": issuer}))
    assert issuer in str(caught.value)


@pytest.mark.parametrize("url", ["decant.example.com", "ftp://x", "https://x/decant", "https://"])
def test_the_public_address_is_an_origin(url: str) -> None:
    with pytest.raises(InvalidInput, match="DECANT_PUBLIC_URL"):
        load_settings(public_url=url)


def test_the_machine_finds_its_own_dashboard_wherever_it_listens(tmp_path: Path) -> None:
    def at(address: str) -> str:
        return settings(tmp_path, dashboard_address=address, dashboard_port=8501).dashboard_url

    assert at("0.0.0.0") == "http://127.0.0.1:8501"
    assert at("10.1.2.3") == "http://10.1.2.3:8501"
    assert at("::1") == "http://[::1]:8501"


@pytest.mark.parametrize(
    ("address", "named"), [("0.0.0.0", "0.0.0.0"), ("", "every interface"), ("10.0.0.7", "10.0.0.7")]
)
def test_a_gateway_that_the_network_reaches_is_told_in_one_line(tmp_path: Path, address: str, named: str) -> None:
    said = open_gateway(settings(tmp_path, gateway_address=address))
    assert f"listens on {named} " in said
    assert "\n" not in said
    assert open_gateway(settings(tmp_path, gateway_address=address, engine="kubernetes")) == ""


def test_a_gateway_on_this_machine_alone_is_no_matter(tmp_path: Path) -> None:
    assert open_gateway(settings(tmp_path)) == ""


def test_up_says_it_before_anything_starts(tmp_path: Path) -> None:
    """Ends at once, since the dashboard may not listen there; the line comes before that."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("DECANT_", "MLFLOW_"))}
    own = {
        "DECANT_STATE_DIR": str(tmp_path),
        "DECANT_GATEWAY_ADDRESS": "0.0.0.0",
        "DECANT_DASHBOARD_ADDRESS": "0.0.0.0",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "app", "up"],
        cwd=ROOT,
        env={**inherited, **own},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == InvalidInput.exit_code
    assert "the gateway listens on 0.0.0.0" in ended.stdout + ended.stderr
