"""Publishing to a real S3 server: what is whole, what is not sent twice, and what is said when the server refuses."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.domain.places import StorePlace
from services.errors import DecantError, NotFound, Rejected, Unavailable
from services.publishing.marker import MARKER
from services.publishing.publisher import Altered, Moved, Original, Published, Step, Stopped, publish
from services.publishing.store import CHUNK_BYTES, ModelStore, StoreOptions
from tests.support.seaweed import BUCKET, READER_KEY, READER_SECRET, SECRET, RunningStore, credentials
from tests.support.waiting import free_port

MODEL_ID = "m-00112233445566778899aabbccddeeff"
BIG = CHUNK_BYTES * 3 + 17


@pytest.fixture(autouse=True)
def signed_in(s3: RunningStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def prefix() -> str:
    return f"t{uuid.uuid4().hex[:8]}/models"


@pytest.fixture
def store(s3: RunningStore, prefix: str) -> ModelStore:
    return ModelStore(StorePlace.parse(f"s3://{BUCKET}/{prefix}"), StoreOptions(s3.endpoint))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {python_function: {}}\n")
    (folder / "data" / "weights.bin").write_bytes(bytes(range(256)) * (BIG // 256 + 1))
    (folder / "requirements.txt").write_text("")
    return folder


def ignore(_: Moved) -> None:
    return


def put(model: Path, store: ModelStore, report: Callable[[Moved], None] = ignore) -> Published:
    original = Original(f"models:/{MODEL_ID}", MODEL_ID, lambda _into, _seen: model)
    return publish(original, store, model.with_name("work"), "ada", report)


def objects(s3: RunningStore, prefix: str) -> dict[str, Any]:
    """Every object below the prefix, with its size and time."""
    from pyarrow.fs import FileSelector, FileType

    found = s3.files().get_file_info(FileSelector(f"{BUCKET}/{prefix}", recursive=True, allow_not_found=True))
    root = f"{BUCKET}/{prefix}/{MODEL_ID}/"
    return {f.path.removeprefix(root): (f.size, f.mtime_ns) for f in found if f.type is FileType.File}


def content(s3: RunningStore, prefix: str, path: str) -> bytes:
    with s3.files().open_input_stream(f"{BUCKET}/{prefix}/{MODEL_ID}/{path}") as stream:
        return bytes(stream.read())


def write(s3: RunningStore, prefix: str, path: str, data: bytes) -> None:
    with s3.files().open_output_stream(f"{BUCKET}/{prefix}/{MODEL_ID}/{path}") as stream:
        stream.write(data)


def test_a_model_arrives_whole_and_is_not_sent_again(
    model: Path, store: ModelStore, s3: RunningStore, prefix: str
) -> None:
    seen: list[Moved] = []
    made = put(model, store, seen.append)
    assert made.uri == f"s3://{BUCKET}/{prefix}/{MODEL_ID}"
    for file in ("MLmodel", "data/weights.bin", "requirements.txt"):
        assert content(s3, prefix, file) == (model / file).read_bytes()
    uploading = [moved.bytes for moved in seen if moved.step is Step.UPLOADING]
    assert uploading == sorted(uploading)
    assert len(set(uploading)) > 3, "progress within a file"
    before = objects(s3, prefix)
    assert set(before) == {"MLmodel", "data/weights.bin", "requirements.txt", MARKER}

    again = put(model, store)
    assert again.reused
    assert again.uri == made.uri
    assert objects(s3, prefix) == before, "nothing was written again"


def test_an_upload_that_was_cut_short_is_completed_and_what_was_there_not_sent_again(
    model: Path, store: ModelStore, s3: RunningStore, prefix: str
) -> None:
    def stop(moved: Moved) -> None:
        if moved.step is Step.UPLOADING and moved.files == 1 and moved.bytes > CHUNK_BYTES:
            raise Stopped

    with pytest.raises(Stopped):
        put(model, store, stop)
    left = objects(s3, prefix)
    assert set(left) == {"MLmodel"}, "the file in whose middle it was stopped is gone, and there is no marker"
    write(s3, prefix, "data/weights.bin", b"half of")  # what a killed multipart upload may leave on other servers
    assert not put(model, store).reused
    after = objects(s3, prefix)
    assert after["MLmodel"] == left["MLmodel"]
    assert content(s3, prefix, "data/weights.bin") == (model / "data" / "weights.bin").read_bytes()
    assert MARKER in after


@pytest.mark.parametrize("kept", [True, False], ids=["another content of the same size", "another size"])
def test_an_object_that_somebody_changed_is_named_and_the_model_not_used(
    model: Path, store: ModelStore, s3: RunningStore, prefix: str, kept: bool
) -> None:
    put(model, store)
    size = (model / "data" / "weights.bin").stat().st_size
    write(s3, prefix, "data/weights.bin", b"x" * (size if kept else 3))
    with pytest.raises(Altered, match=r"data/weights\.bin is not what ada published at") as caught:
        put(model, store)
    assert f"s3://{BUCKET}/{prefix}/{MODEL_ID} cannot be trusted" in caught.value.sentence


def test_two_publishers_of_one_model_do_each_other_no_harm(
    model: Path, store: ModelStore, s3: RunningStore, prefix: str
) -> None:
    made: list[Published] = []
    threads = [threading.Thread(target=lambda: made.append(put(model, store))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {m.uri for m in made} == {f"s3://{BUCKET}/{prefix}/{MODEL_ID}"}
    assert len(made) == 3
    assert put(model, store).reused


@pytest.mark.parametrize(
    ("key", "secret"),
    [("decant", "a-wrong-secret"), ("nobody", "a-wrong-secret"), (READER_KEY, READER_SECRET)],
    ids=["wrong secret", "unknown key", "may only read"],
)
def test_credentials_that_are_refused_are_said_in_words_and_never_shown(
    model: Path, store: ModelStore, monkeypatch: pytest.MonkeyPatch, key: str, secret: str
) -> None:
    for name, value in credentials(key, secret).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Rejected, match="The model store answered 403: it refused") as caught:
        put(model, store)
    said = str(caught.value)
    assert "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in said
    assert secret not in said
    assert SECRET not in said


def test_a_bucket_that_does_not_exist_is_said_in_words(model: Path, s3: RunningStore) -> None:
    store = ModelStore(StorePlace.parse("s3://no-such-bucket/x"), StoreOptions(s3.endpoint))
    with pytest.raises(NotFound, match="There is no bucket “s3://no-such-bucket”") as caught:
        put(model, store)
    assert "DECANT_MODEL_STORE" in caught.value.hint


def test_a_server_that_is_down_is_said_in_words(model: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    store = ModelStore(StorePlace.parse(f"s3://{BUCKET}/x"), StoreOptions(nowhere))
    with pytest.raises(Unavailable, match="nothing listens there") as caught:
        put(model, store)
    assert nowhere in str(caught.value)


@pytest.fixture
def unwell() -> Iterator[str]:
    """A server that answers every request with an error of its own."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503, "down for maintenance")

        do_HEAD = do_PUT = do_POST = do_GET

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_server_that_is_unwell_is_said_in_words(model: Path, unwell: str) -> None:
    store = ModelStore(StorePlace.parse(f"s3://{BUCKET}/x"), StoreOptions(unwell))
    with pytest.raises(DecantError, match="The model store") as caught:
        put(model, store)
    assert isinstance(caught.value, Unavailable | Rejected)
