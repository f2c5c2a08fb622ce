"""predict: one request, through the split or to one arm, or side by side."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import click

from app.cli.options import deployment_key, json_option, namespace_option, read_text, services
from app.cli.output import plain, put_json, put_table, say
from app.format import latency
from services.errors import DecantError, InvalidInput, InvalidPayload, Rejected
from services.schema import NUMBERS, Signature

if TYPE_CHECKING:
    from services.domain import Deployment
    from services.factory import Services

Rows = list[list[Any]]


@click.command()
@click.argument("name")
@namespace_option
@click.option("--row", multiple=True, metavar="VALUES", help="Comma-separated values of one row; repeatable.")
@click.option("--json-data", metavar="FILE", help="JSON: a list of rows, or Seldon's {data: ...} (- for stdin).")
@click.option("--sample", is_flag=True, help="The input example that the model was logged with.")
@click.option("--names", default="", help="Comma-separated column names.")
@click.option("--predictor", help="Ask this arm, past the split; `both` asks every arm.")
@json_option
def predict(
    name: str,
    namespace: str,
    row: tuple[str, ...],
    json_data: str | None,
    sample: bool,
    names: str,
    predictor: str | None,
    as_json: bool,
) -> None:
    """Send one request and show who answered what. It goes into the ledger, so its truth can be attached later.

    No feedback is sent: the arms' counters do not change.

    \b
    Example: python -m app predict wine --row 7,0.27,0.36,20.7,0.045,45,170,1.001,3,0.45,8.8
             python -m app predict wine --sample --predictor both
    JSON: [{"predictor", "puid", "values", "latency_ms", "status", "request", "response"}]
    """
    if sum([bool(row), bool(json_data), sample]) != 1:
        raise click.UsageError("Give the input by one of --row, --json-data and --sample.")
    built = services()
    from services.trials import send_rows

    namespace, name = deployment_key(name, namespace)
    status = built.engine.get(namespace, name)
    deployment = status.deployment
    columns = [part.strip() for part in names.split(",")] if names else []
    if sample:
        rows, columns = _sample(built, deployment)
    elif json_data:
        rows, found = rows_from_json(read_text(json_data))
        columns = columns or found
    else:
        rows = [read_row(text) for text in row]
    arms = _arms(deployment, predictor)
    if row and any(isinstance(cell, str) for one in rows for cell in one):
        _check_rows(built, deployment, rows, columns)  # only then: asking MLflow takes longer than a prediction
    answers = []
    for arm in arms:
        try:
            prediction, request, response = send_rows(
                built.engine, built.predictions, built.store, status, rows, columns, arm
            )
        except Rejected:
            if row:
                _check_rows(built, deployment, rows, columns)  # says what the model's own words may not
            raise
        answers.append({**plain(prediction), "request": request, "response": response})
    if None in arms and (way := built.engine.endpoint(namespace, name).note):
        say(way)
    if as_json:
        put_json(answers)
        return
    put_table(
        ("predictor", "values", "latency", "puid"),
        [(a["predictor"], _words(a["values"]), latency(a["latency_ms"]), a["puid"]) for a in answers],
        right=(2,),
    )


def _arms(deployment: Deployment, predictor: str | None) -> list[str | None]:
    if predictor is None:
        return [None]
    if predictor == "both" and predictor not in [p.name for p in deployment.predictors]:
        return [p.name for p in deployment.live]
    return [deployment.predictor(predictor).name]


def _check_rows(built: Services, deployment: Deployment, rows: Rows, columns: list[str]) -> None:
    """Raise InvalidInput if a row cannot be what the first arm's model wants; silent where that cannot be known."""
    try:
        signature = built.models.resolve(deployment.live[0].model_uri).signature
    except DecantError:
        return
    problem = row_problem(rows, signature, columns)
    if problem:
        raise InvalidInput(problem, f"The model wants {', '.join(c.name for c in signature.columns)}.")


def row_problem(rows: Rows, signature: Signature, columns: list[str]) -> str:
    """What is wrong with the rows for a model with named columns; empty when nothing is, or nothing is known."""
    by_name = {column.name: column for column in signature.columns}
    wanted = [by_name.get(name) for name in columns] if columns else list(signature.columns)
    if not signature.columns:
        return ""
    for row in rows:
        if len(row) != len(wanted):
            return f"The row has {len(row)} of {len(wanted)} values."
        for cell, column in zip(row, wanted, strict=True):
            if column and column.type in NUMBERS and isinstance(cell, str):
                return f"“{column.name}” must be a number, not “{cell}”."
    return ""


def _sample(built: Services, deployment: Deployment) -> tuple[Rows, list[str]]:
    arm = deployment.live[0]
    model = built.models.resolve(arm.model_uri)
    if not model.input_example:
        raise InvalidInput(f"The model of {arm.name} was logged without an input example.", "Give --row.")
    return [list(row) for row in model.input_example][:1], model.signature.names


def read_row(text: str) -> list[Any]:
    """`7,0.27,red` as [7, 0.27, "red"]: JSON where it is JSON, text otherwise; quotes as in CSV."""
    return [_value(cell.strip()) for cell in next(csv.reader([text], skipinitialspace=True))]


def _value(cell: str) -> Any:
    try:
        return json.loads(cell)
    except ValueError:
        try:
            return float(cell)  # .5, which JSON does not know
        except ValueError:
            return cell


def rows_from_json(text: str) -> tuple[Rows, list[str]]:
    """Rows and column names from a list of rows, or from a Seldon payload with `ndarray` or `tensor`.

    Raises InvalidPayload naming the field.
    """
    try:
        body = json.loads(text)
    except ValueError as error:
        raise InvalidPayload("the request", f"is not JSON: {error}") from error
    if isinstance(body, list):
        return _as_rows("the request", body), []
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict):
        raise InvalidPayload("data", "is missing", 'Write a list of rows, or {"data": {"ndarray": [[...]]}}.')
    names = [str(name) for name in data.get("names") or []]
    if "ndarray" in data:
        return _as_rows("data.ndarray", data["ndarray"]), names
    tensor = data.get("tensor")
    if not isinstance(tensor, dict) or len(tensor.get("shape", ())) != 2:
        raise InvalidPayload("data", "holds neither ndarray nor a tensor of two dimensions")
    count, width = tensor["shape"]
    values = tensor.get("values", [])
    if len(values) != count * width:
        raise InvalidPayload("data.tensor.values", f"holds {len(values)} values, not {count} x {width}")
    return [values[i * width : (i + 1) * width] for i in range(count)], names


def _as_rows(field: str, value: object) -> Rows:
    if not isinstance(value, list) or not value:
        raise InvalidPayload(field, "is not a list of rows")
    if not isinstance(value[0], list):
        return [value]  # one row, written without its outer brackets
    return value


def _words(values: object) -> str:
    return json.dumps(values, ensure_ascii=False)
