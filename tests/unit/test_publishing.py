"""Publishing to a volume: the same steps as to a bucket, in a folder; and the words for places and markers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from services.domain.places import StorePlace, model_id_in, seldon_reads
from services.errors import DecantError, InvalidInput, NotFound, Unavailable
from services.publishing.marker import MARKER, FileMark, Marker, read_marker
from services.publishing.publisher import Altered, Moved, Original, Published, Step, Stopped, local_files, publish
from services.publishing.store import CHUNK_BYTES, ModelStore, StoreOptions

MODEL_ID = "m-00112233445566778899aabbccddeeff"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {python_function: {}}\n")
    (folder / "data" / "weights.bin").write_bytes(b"\x01\x02" * (CHUNK_BYTES // 2 + 1000))
    (folder / "empty.txt").write_text("")
    return folder


@pytest.fixture
def volume(tmp_path: Path) -> ModelStore:
    (tmp_path / "volume").mkdir()
    return ModelStore(StorePlace.parse("pvc://models/decant"), StoreOptions(folder=str(tmp_path / "volume")))


def ignore(_: Moved) -> None:
    return


def original(folder: Path, model_id: str | None = MODEL_ID) -> Original:
    return Original(f"models:/{model_id}" if model_id else str(folder), model_id, lambda _into, _seen: folder)


def never(_into: Path, _seen: Callable[[int, int], None]) -> Path:
    raise AssertionError("fetched although it is published")


def put(model: Path, volume: ModelStore, tmp_path: Path, report: Callable[[Moved], None] = ignore) -> Published:
    return publish(original(model), volume, tmp_path / "work", "ada", report)


def contents(tmp_path: Path) -> dict[str, bytes]:
    root = tmp_path / "volume" / "decant"
    return {f.relative_to(root).as_posix(): f.read_bytes() for f in root.rglob("*") if f.is_file()}


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("s3://bucket", "s3://bucket/x"),
        ("s3://bucket/", "s3://bucket/x"),
        ("gs://bucket/a//b/", "gs://bucket/a/b/x"),
        ("pvc://claim/models", "pvc://claim/models/x"),
    ],
)
def test_a_place_gives_addresses_that_seldon_reads(text: str, uri: str) -> None:
    assert StorePlace.parse(text).uri("x") == uri
    assert seldon_reads(uri)


@pytest.mark.parametrize("text", ["", "bucket/prefix", "file:///models", "models:/x", "s3:///prefix", "s3://b/../c"])
def test_what_is_no_place_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidInput, match="s3://bucket/prefix, gs://bucket/prefix or pvc://claim/prefix"):
        StorePlace.parse(text)


def test_credentials_in_a_place_are_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidInput) as caught:
        StorePlace.parse("s3://key:hush@bucket/prefix")
    assert "hush" not in str(caught.value)
    assert "AWS_ACCESS_KEY_ID" in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        (f"s3://bucket/prefix/{MODEL_ID}", MODEL_ID),
        (f"s3://mlflow/1/models/{MODEL_ID}/artifacts", MODEL_ID),
        (f"models:/{MODEL_ID}", None),
        ("s3://bucket/prefix/sha256-00", None),
        (f"s3://bucket/{MODEL_ID}/other", None),
    ],
)
def test_a_published_address_names_its_logged_model(uri: str, found: str | None) -> None:
    assert model_id_in(uri) == found


def test_a_marker_survives_the_way_to_json_and_whatever_else_is_no_marker() -> None:
    marker = Marker("models:/m-1", {"MLmodel": FileMark("ab", 3), "data/x": FileMark("cd", 4)}, "ada", "2026-01-05")
    assert read_marker(marker.to_json()) == marker
    for other in (b"", b"{}", b"[]", b"null", b'{"files": 3}', marker.to_json().replace(b'"ab"', b'"ac"')):
        assert read_marker(other) is None


def test_a_model_is_whole_in_the_volume_and_its_marker_names_every_file(
    model: Path, volume: ModelStore, tmp_path: Path
) -> None:
    seen: list[Moved] = []
    made = put(model, volume, tmp_path, seen.append)
    assert (made.uri, made.reused, made.files) == (f"pvc://models/decant/{MODEL_ID}", False, 3)
    stored = contents(tmp_path)
    for path in ("MLmodel", "data/weights.bin", "empty.txt"):
        assert stored[f"{MODEL_ID}/{path}"] == (model / path).read_bytes()
    marker = read_marker(stored[f"{MODEL_ID}/{MARKER}"])
    assert marker is not None
    assert marker.files == local_files(model)
    assert (marker.who, marker.source, marker.digest) == ("ada", f"models:/{MODEL_ID}", made.digest)
    assert len(stored) == 4, "and nothing half written beside them"
    steps = list(dict.fromkeys(moved.step for moved in seen))
    assert steps == [Step.FETCHING, Step.UPLOADING, Step.CHECKING, Step.DONE]
    weights = [moved.bytes for moved in seen if moved.step is Step.UPLOADING]
    assert weights == sorted(weights)
    assert len(set(weights)) > 3, "progress within a file, not only from file to file"


def test_a_published_model_is_used_again_without_fetching_or_writing(
    model: Path, volume: ModelStore, tmp_path: Path
) -> None:
    put(model, volume, tmp_path)
    before = {f: f.stat().st_mtime_ns for f in (tmp_path / "volume").rglob("*")}
    again = publish(Original(f"models:/{MODEL_ID}", MODEL_ID, never), volume, tmp_path / "work", "bo", ignore)
    assert again.reused
    assert {f: f.stat().st_mtime_ns for f in (tmp_path / "volume").rglob("*")} == before


def test_a_folder_is_named_by_what_it_holds(model: Path, volume: ModelStore, tmp_path: Path) -> None:
    first = publish(original(model, None), volume, tmp_path / "work", "ada", ignore)
    again = publish(original(model, None), volume, tmp_path / "work", "ada", ignore)
    assert first.uri == again.uri
    assert again.reused
    (model / "MLmodel").write_text("flavors: {python_function: {x: 1}}\n")
    other = publish(original(model, None), volume, tmp_path / "work", "ada", ignore)
    assert other.uri != first.uri
    assert not other.reused


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: f.write_bytes(b"\x02" * f.stat().st_size), "data/weights.bin is not what ada published at"),
        (lambda f: f.write_bytes(b"short"), "data/weights.bin is not what ada published at"),
        (lambda f: f.unlink(), "data/weights.bin is missing"),
    ],
)
def test_a_published_model_that_somebody_changed_is_not_used(
    model: Path, volume: ModelStore, tmp_path: Path, spoil: Callable[[Path], object], words: str
) -> None:
    put(model, volume, tmp_path)
    spoil(tmp_path / "volume" / "decant" / MODEL_ID / "data" / "weights.bin")
    with pytest.raises(Altered, match=words) as caught:
        put(model, volume, tmp_path)
    assert f"delete pvc://models/decant/{MODEL_ID} and apply again" in str(caught.value)


def test_what_was_stopped_is_no_model_and_is_completed_later(model: Path, volume: ModelStore, tmp_path: Path) -> None:
    def stop(moved: Moved) -> None:
        if moved.step is Step.UPLOADING and moved.files == 2:
            raise Stopped

    with pytest.raises(Stopped):
        put(model, volume, tmp_path, stop)
    stored = contents(tmp_path)
    assert f"{MODEL_ID}/{MARKER}" not in stored
    assert stored, "what was whole stays, and is not sent again"
    kept = {f: f.stat().st_ino for f in (tmp_path / "volume").rglob("*") if f.is_file()}
    assert not put(model, volume, tmp_path).reused
    assert {f: f.stat().st_ino for f in kept} == kept
    assert f"{MODEL_ID}/{MARKER}" in contents(tmp_path)


def test_a_file_that_is_stopped_in_its_middle_is_taken_away(model: Path, volume: ModelStore, tmp_path: Path) -> None:
    def stop(moved: Moved) -> None:
        if moved.step is Step.UPLOADING and 0 < moved.bytes < moved.bytes_total and moved.files == 1:
            raise Stopped

    with pytest.raises(Stopped):
        put(model, volume, tmp_path, stop)
    assert f"{MODEL_ID}/data/weights.bin" not in contents(tmp_path)
    assert not [path for path in contents(tmp_path) if path.endswith(".part")]


def test_several_at_once_do_each_other_no_harm(model: Path, volume: ModelStore, tmp_path: Path) -> None:
    made: list[Published] = []
    threads = [threading.Thread(target=lambda: made.append(put(model, volume, tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({m.uri for m in made}) == 1
    assert len(made) == 4
    assert put(model, volume, tmp_path).reused


def test_a_link_that_leads_out_of_the_model_is_not_followed(model: Path, volume: ModelStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hush")
    (model / "data" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidInput, match=r"data/link in .* is a link that leads out of the model"):
        put(model, volume, tmp_path)
    assert not (tmp_path / "volume" / "decant").exists()


def test_a_folder_without_a_model_is_refused_in_words(volume: ModelStore, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(InvalidInput, match="holds no MLflow model"):
        put(tmp_path / "model", volume, tmp_path)


def test_a_volume_that_is_not_mounted_is_said_in_words(model: Path, tmp_path: Path) -> None:
    store = ModelStore(StorePlace.parse("pvc://models"), StoreOptions(folder=str(tmp_path / "nowhere")))
    with pytest.raises(NotFound, match="nowhere") as caught:
        put(model, store, tmp_path)
    assert "DECANT_MODEL_STORE_PATH" in caught.value.hint


def test_a_volume_that_cannot_be_written_is_said_in_words(model: Path, volume: ModelStore, tmp_path: Path) -> None:
    (tmp_path / "volume" / "decant").write_text("a file where a folder should be")
    with pytest.raises(DecantError) as caught:
        put(model, volume, tmp_path)
    assert "model store" in str(caught.value)
    assert not isinstance(caught.value, Unavailable)
