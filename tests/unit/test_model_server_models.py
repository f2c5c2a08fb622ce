"""Every kind of model through the whole data plane, in this process: bytes in, bytes out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import orjson
import pandas as pd
import pytest

from services.runtime.model_server.batching import Batcher
from services.runtime.model_server.dataplane import Dataplane
from services.runtime.model_server.feedback import FeedbackDesk
from services.runtime.model_server.instruments import Instruments
from services.runtime.model_server.model import Model
from services.runtime.model_server.options import ServerOptions
from services.runtime.model_server.worker import WorkerThread
from tests.support import models

OPTIONS = ServerOptions(port=1, model_uri="m", namespace="n", deployment="d", predictor="a", node="node")


V2_ONE = {"inputs": [{"name": "a", "shape": [1], "datatype": "FP64", "data": [1]}]}


def ask(
    folder: Path, *bodies: dict, v2: bool = False, dataframe_input: bool = False, counted: list | None = None
) -> list[tuple[int, dict]]:
    """Answers of one server to the bodies, sent all at once; its instruments go into `counted`."""

    async def go():
        model = Model(mlflow.pyfunc.load_model(str(folder)), dataframe_input=dataframe_input)
        instruments = Instruments(OPTIONS)
        if counted is not None:
            counted.append(instruments)
        batcher = Batcher(model, WorkerThread(asyncio.get_running_loop()), batch_rows=64)
        plane = Dataplane(OPTIONS, model, batcher, FeedbackDesk(OPTIONS, instruments), instruments)
        return await asyncio.gather(*(plane.predict(orjson.dumps(b), None, v2=v2) for b in bodies))

    return [(reply.code, orjson.loads(reply.body)) for reply in asyncio.run(go())]


def rows(*values: list) -> dict:
    return {"data": {"ndarray": list(values)}}


def predictions(folder: Path, *values: list, **options) -> list:
    [(code, body)] = ask(folder, rows(*values), **options)
    assert code == 200, body
    return body["data"]["ndarray"]


def test_elastic_net_answers_as_mlflow_does(tmp_path):
    folder = models.elastic_net(tmp_path)
    table = models.table(40)
    expected = mlflow.pyfunc.load_model(str(folder)).predict(table)
    answers = ask(folder, *(rows(row) for row in table.to_numpy().tolist()))
    assert [b["data"]["ndarray"][0] for _, b in answers] == pytest.approx(list(expected), rel=1e-9)


@pytest.mark.parametrize("make", [models.boosted, models.least_squares])
def test_other_flavours(tmp_path, make):
    folder = make(tmp_path)
    table = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    expected = np.asarray(mlflow.pyfunc.load_model(str(folder)).predict(table)).ravel()
    assert predictions(folder, [1, 3], [2, 4]) == pytest.approx(expected.tolist(), rel=1e-6)


def test_xgboost_takes_missing_values_and_elastic_net_does_not(tmp_path):
    assert len(predictions(models.boosted(tmp_path), [None, 3])) == 1
    [(code, body)] = ask(models.elastic_net(tmp_path), rows([None, *models.WINE_ROW[1:]]))
    info = body["status"]["info"]
    assert code == 400 and "ValueError: Input X contains NaN" in info
    assert info.startswith("data.ndarray[0][0]: is missing (null), and the model does not take missing values. The mod")


def test_a_missing_value_is_named_in_every_form(tmp_path):
    folder = models.elastic_net(tmp_path)
    row, names = models.WINE_ROW, list(models.WINE_COLUMNS)
    gap = [*row[:3], None, *row[4:]]
    tensor = {"data": {"tensor": {"shape": [2, 11], "values": [*row, *gap[:3], "NaN", *gap[4:]]}}}
    answers = ask(
        folder,
        rows(row, gap),
        tensor,
        {"jsonData": [dict(zip(names, row, strict=True)), dict(zip(names, gap, strict=True))]},
        {"jsonData": {n: [v] for n, v in zip(names, gap, strict=True)}},
    )
    assert [code for code, _ in answers] == [400] * 4
    assert [body["status"]["info"].partition(", and")[0] for _, body in answers] == [
        "data.ndarray[1][3]: is missing (null)",
        "data.tensor.values[14]: is missing (NaN)",
        f"jsonData[1].{names[3]}: is missing (null)",
        f"jsonData.{names[3]}[0]: is missing (null)",
    ]
    [(code, body)] = ask(
        folder, {"inputs": [{"name": "x", "shape": [1, 11], "datatype": "FP64", "data": gap}]}, v2=True
    )
    assert code == 400 and body["error"].startswith("inputs[0].data[3]: is missing (null)")


def test_an_answer_that_json_cannot_carry_is_a_counted_failure_in_words(tmp_path):
    folder = models.unwritable(tmp_path)
    for v2, body in ((False, rows([1])), (False, rows([2])), (True, V2_ONE)):
        counted: list[Instruments] = []
        [(code, answer)] = ask(folder, body, v2=v2, counted=counted)
        info = answer["error"] if v2 else answer["status"]["info"]
        assert code == 500 and info.startswith("The model's answer cannot be written as JSON: ")
        text = counted[0].render().decode()
        [line] = [s for s in text.splitlines() if "server_requests_seconds_count" in s and 'code="500"' in s]
        assert line.endswith(" 1.0")
    [(code, answer)] = ask(folder, rows([3]))
    assert code == 400 and "ValueError: half a character: ?" in answer["status"]["info"]


def test_words_as_answers_and_mixed_columns(tmp_path):
    folder = models.text_labels(tmp_path)
    assert predictions(folder, [1.5, "red", 4], [8.5, "blue", 2.0]) == ["small", "large"]
    [(code, body)] = ask(folder, rows([1.5, "red", 4.5]))
    assert code == 400 and body["status"]["info"].startswith(
        'data.ndarray[0][2]: 4.5 is not a whole number (column "legs")'
    )


def test_a_model_without_signature_gets_an_array(tmp_path):
    assert predictions(models.no_signature(tmp_path), [1, 2, 3]) == pytest.approx([6.0])


def test_tensors(tmp_path):
    assert predictions(models.tensor(tmp_path), [[1, 2, 3], [4, 5, 6]]) == [[6.0, 15.0]]
    [(code, body)] = ask(models.named_tensors(tmp_path), {"jsonData": {"left": [[1, 2]], "right": [[3, 4]]}})
    assert (code, body["jsonData"]) == (200, [[4.0, 6.0]])


@pytest.mark.parametrize(
    ("kind", "names", "answer"),
    [
        ("frame", ["sum", "word"], [[3.0, "w"]]),
        ("array", [], [[1.0, 2.0]]),
        ("dict", ["sum", "half"], [[3.0, 0.5]]),
        ("list", [], [1.0]),
        ("records", ["sum"], [[3.0]]),
        ("series", ["sum"], [3.0]),
        ("text", [], ["one text"]),
        ("number", [], [5]),
    ],
)
def test_outputs(tmp_path, kind, names, answer):
    [(code, body)] = ask(models.several_outputs(tmp_path, kind=kind), rows([1, 2]))
    assert (code, body["data"]) == (200, {"names": names, "ndarray": answer})


def test_columns_arrive_in_their_declared_types(tmp_path):
    row = [7.0, 7, 7, 0.5, True, "x", "2026-01-02", None]
    assert predictions(models.typed(tmp_path), row) == [
        "n=int64,i=int32,d=float64,f=float32,b=bool,s=str,t=datetime64[ns],maybe=float64"
    ]
    [(code, body)] = ask(models.typed(tmp_path, "again"), rows([7.5, *row[1:]]))
    assert code == 400 and "7.5 is not a whole number" in body["status"]["info"]


def test_default_parameters_reach_the_model(tmp_path):
    assert predictions(models.with_params(tmp_path), [2]) == [6.0]


def test_code_that_travels_with_the_model(tmp_path):
    assert predictions(models.with_code(tmp_path), [2]) == [8.0]


def test_text_in_text_out(tmp_path):
    [(code, body)] = ask(models.text(tmp_path), {"strData": "hello"})
    assert (code, body["strData"]) == (200, "HELLO")


def test_v2(tmp_path):
    inputs = [{"name": n, "shape": [2], "datatype": "FP64", "data": [1, 2]} for n in ("b", "a")]
    [(code, body)] = ask(models.several_outputs(tmp_path), {"inputs": inputs}, v2=True)
    assert code == 200
    assert {o["name"]: o["data"] for o in body["outputs"]} == {"sum": [2.0, 4.0], "word": ["w", "w"]}


def test_the_models_own_errors(tmp_path):
    bad, broken, gone, good = ask(models.breaks(tmp_path), rows([1]), rows([2]), rows([4]), rows([3]))
    assert bad[0] == 400 and "ValueError: one is not allowed" in bad[1]["status"]["info"]
    assert broken[0] == 500 and "RuntimeError: two broke the machine" in broken[1]["status"]["info"]
    assert "Traceback" not in str(broken) and broken[1]["status"]["status"] == "FAILURE"
    assert gone[0] == 500 and "SystemExit: four has had enough" in gone[1]["status"]["info"]
    assert good == (200, good[1]) and good[1]["data"]["ndarray"] == [3.0]


def test_one_bad_request_among_merged_ones(tmp_path):
    folder = models.elastic_net(tmp_path)
    table = models.table(30).to_numpy().tolist()
    table[11][0] = None
    codes = [code for code, _ in ask(folder, *(rows(row) for row in table))]
    assert codes == [400 if i == 11 else 200 for i in range(30)]


def test_a_scikit_learn_model_that_sees_the_batch_answers_as_if_alone(tmp_path):
    folder = models.centred(tmp_path)
    table = models.table(30, ("a", "b")).to_numpy().tolist()
    together = [b["data"]["ndarray"][0] for _, b in ask(folder, *(rows(row) for row in table))]
    alone = [predictions(folder, table[0])[0]] * 30
    assert together == pytest.approx(alone, rel=1e-9)
