"""Where Prometheus comes from, tried with real packages, real archives and a real HTTP server."""

from __future__ import annotations

import hashlib
import http.server
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.errors import InvalidInput, StartFailed
from services.runtime import prometheus_binary
from services.runtime.prometheus_binary import ARCHIVES, Archive, find_or_fetch, unpack_archive
from services.settings import ROOT, Settings

STAND_IN = "#!/bin/sh\necho 'prometheus, version 9.9.9'\n"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("DECANT_PROMETHEUS_BIN", raising=False)
    return Settings(state_dir=tmp_path / "state")


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which a web server hands out its files."""
    folder = tmp_path / "site"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def write_program(folder: Path, text: str = STAND_IN) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "prometheus"
    program.write_text(text)
    program.chmod(0o755)
    return program


def pack(folder: Path, program_text: str = STAND_IN) -> Archive:
    program = write_program(folder / "prometheus-9.9.9.test", program_text)
    file = folder / "p.tar.gz"
    with tarfile.open(file, "w:gz") as packed:
        packed.add(program.parent, arcname=program.parent.name)
    return Archive("", hashlib.sha256(file.read_bytes()).hexdigest())


def test_a_given_program_wins_over_everything(settings: Settings, tmp_path: Path) -> None:
    given = write_program(tmp_path / "mine")
    chosen = find_or_fetch(settings.model_copy(update={"prometheus_bin": str(given)}))
    assert chosen == given


@pytest.mark.parametrize("text", [None, "#!/bin/sh\nexit 3\n", "#!/bin/sh\necho something else\n", "not a program"])
def test_a_given_program_that_is_none_is_refused_in_words(settings: Settings, tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "mine" / "prometheus"
    if text is not None:
        write_program(path.parent, text)
    with pytest.raises(InvalidInput, match="DECANT_PROMETHEUS_BIN") as caught:
        find_or_fetch(settings.model_copy(update={"prometheus_bin": str(path)}))
    assert str(path) in caught.value.sentence
    assert "DECANT_PROMETHEUS_URL" in caught.value.hint


def test_one_on_the_path_is_used_and_nothing_is_fetched(settings: Settings, bare_path: Path) -> None:
    on_path = write_program(bare_path)
    assert find_or_fetch(settings) == on_path
    assert not settings.paths.bin.exists()


def test_debians_package_is_unpacked_once_and_runs(settings: Settings) -> None:
    said: list[str] = []
    # Whatever this machine has on its PATH must not be found: only the tools that unpack.
    program = prometheus_binary.unpack_debian_package(_made(settings.paths.bin), said.append)
    assert program == settings.paths.bin / "prometheus"
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert "prometheus, version 2." in version.stdout + version.stderr
    assert (settings.paths.bin / "promtool").exists()
    assert len(said) == 1
    assert sorted(p.name for p in settings.paths.bin.iterdir()) == ["prometheus", "promtool"]


def test_what_was_unpacked_before_is_found_without_a_word(settings: Settings, bare_path: Path) -> None:
    unpacked = write_program(settings.paths.bin)
    said: list[str] = []
    assert find_or_fetch(settings, said.append) == unpacked
    assert said == []


def test_an_archive_with_the_right_checksum_is_unpacked(site: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = site
    archive = Archive(f"{address}/p.tar.gz", pack(folder).sha256)
    program = unpack_archive(archive, _made(tmp_path / "bin"))
    assert program.read_text() == STAND_IN
    assert [p.name for p in (tmp_path / "bin").iterdir()] == ["prometheus"]


@pytest.mark.parametrize("wrong", ["checksum", "missing", "program"])
def test_when_every_way_fails_the_error_names_them_and_the_ways_out(
    wrong: str, site: tuple[Path, str], settings: Settings, bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = site
    sha256 = pack(folder, "#!/bin/sh\nexit 1\n" if wrong == "program" else STAND_IN).sha256
    archive = Archive(
        f"{address}/{'nowhere' if wrong == 'missing' else 'p.tar.gz'}", "0" * 64 if wrong == "checksum" else sha256
    )
    monkeypatch.setattr(prometheus_binary, "ARCHIVES", dict.fromkeys(ARCHIVES, archive))
    with pytest.raises(StartFailed) as caught:
        find_or_fetch(settings)
    words = str(caught.value)
    assert "no apt-get" in words
    expected = {"checksum": "SHA-256", "missing": "not found", "program": "does not run on this machine"}
    assert expected[wrong].lower() in words.lower()
    assert "DECANT_PROMETHEUS_BIN" in words
    assert "DECANT_PROMETHEUS_URL" in words
    assert not (settings.paths.bin / "prometheus").exists()


def test_an_archive_cannot_write_outside_its_folder(
    site: tuple[Path, str], settings: Settings, bare_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, address = site
    program = write_program(folder / "p")
    file = folder / "evil.tar.gz"
    with tarfile.open(file, "w:gz") as packed:
        packed.add(program, arcname="../../escaped/prometheus")
    archive = Archive(f"{address}/evil.tar.gz", hashlib.sha256(file.read_bytes()).hexdigest())
    monkeypatch.setattr(prometheus_binary, "ARCHIVES", dict.fromkeys(ARCHIVES, archive))
    with pytest.raises(StartFailed):
        find_or_fetch(settings)
    assert not list(tmp_path.rglob("escaped"))


def test_two_processes_at_once_agree_on_one_program(
    settings: Settings, site: tuple[Path, str], bare_path: Path
) -> None:
    folder, address = site
    archive = Archive(f"{address}/p.tar.gz", pack(folder).sha256)
    code = (
        "from services.runtime import prometheus_binary as p\n"
        "from services.settings import Settings\n"
        f"p.ARCHIVES = dict.fromkeys(p.ARCHIVES, p.Archive({archive.url!r}, {archive.sha256!r}))\n"
        f"print(p.find_or_fetch(Settings(state_dir={str(settings.state_dir)!r})))\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ})
        for _ in range(3)
    ]
    answers = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert answers == {str(settings.paths.bin / "prometheus")}


def test_the_helper_of_make_test_prints_one_path() -> None:
    answer = subprocess.run(
        [sys.executable, "scripts/prometheus_path.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert Path(answer.stdout.strip()).is_file()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
