"""Trying a deployment by hand: one row to one or several arms, with its feedback and its line in the ledger.

Above the parts it joins (engine, traffic, evidence), so that no page has to know in which order they go.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from services.deployments.engine import Engine
from services.domain import PINNED, DeploymentStatus, Endpoint, Outcome, OutcomeStatus, Prediction, Split
from services.errors import DecantError, InvalidPayload
from services.evidence.store import EvidenceStore
from services.traffic.attribution import UNKNOWN_ARM
from services.traffic.client import PredictionClient
from services.traffic.rewards import Reward


@dataclass(frozen=True)
class Trial:
    """One row to try. `names` is empty for models without named columns; `truth` None earns no reward."""

    namespace: str
    deployment: str
    row: tuple[object, ...]
    names: tuple[str, ...] = ()
    truth: object = None
    reward: Reward | None = None


@dataclass(frozen=True)
class Answer:
    """What one endpoint said. `asked` is the arm it was pinned to, None for the split.

    Either `prediction` or `error` is None. `feedback_error` says why there is no reward, or why it did not arrive,
    though the prediction did. `fed` says that the reward reached the arm's counter: that of an arm that was asked past
    the split is not sent, nor one that can be negative, nor any of a V2 model, whose protocol has no feedback.
    `drawn_by` is the split by which Decant itself drew the arm, where no ingress could.
    """

    asked: str | None
    endpoint: Endpoint
    request: Mapping[str, Any]
    response: Mapping[str, Any] | None = None
    prediction: Prediction | None = None
    error: DecantError | None = None
    reward: float | None = None
    feedback_error: DecantError | None = None
    fed: bool = False
    drawn_by: Split | None = None

    @property
    def predictor(self) -> str:
        """The arm that answered, or was asked; "" when nothing tells."""
        return (self.prediction.predictor if self.prediction else "") or self.asked or self.endpoint.predictor


def try_row(
    engine: Engine,
    predictions: PredictionClient,
    store: EvidenceStore,
    trial: Trial,
    asked: Sequence[str | None] = (None,),
) -> tuple[Answer, ...]:
    """Send the row to each of `asked` at once and record the outcomes, with rewards where the truth is known.

    A reward is sent as feedback, straight to the arm that answered, only if the row went through the split, since the
    arms' counters are for traffic that the split divides, and if it is of a kind that is never negative, since they
    only grow. All are in the ledger. A failure of one arm is part of its answer.

    Raises:
        NotFound: if there is no such deployment or arm.
        Unavailable: if the engine or the store does not answer; without the store, answers would leave no trace.
    """
    status = engine.get(trial.namespace, trial.deployment)
    endpoints = [engine.endpoint(trial.namespace, trial.deployment, arm) for arm in asked]
    with ThreadPoolExecutor(max_workers=len(endpoints), thread_name_prefix="trial") as pool:
        ways = zip(asked, endpoints, strict=True)
        answers = tuple(pool.map(lambda way: _ask(engine, predictions, trial, *way), ways))
    store.record_outcomes([_outcome(trial, status, answer) for answer in answers])
    return answers


def send_rows(
    engine: Engine,
    predictions: PredictionClient,
    store: EvidenceStore,
    status: DeploymentStatus,
    rows: Sequence[Sequence[object]],
    names: Sequence[str] = (),
    arm: str | None = None,
) -> tuple[Prediction, dict[str, Any], dict[str, Any]]:
    """Send several rows in one request, to an arm or through the split, and record an outcome for each.

    Returns the prediction with the request and the response as they went by. A truth can be attached later by the
    request's puid, and by `puid-0`, `puid-1` and so on where it had several rows.

    Raises:
        NotFound: if there is no such arm.
        Rejected, InvalidPayload, Unavailable: as PredictionClient.predict; the rows are recorded as failed.
    """
    namespace, name = status.deployment.namespace, status.deployment.name
    way = engine.endpoint(namespace, name, arm)
    endpoint, drawn_by = way.chosen(), way.split
    puid = uuid.uuid4().hex
    trials = [Trial(namespace, name, tuple(row), tuple(names)) for row in rows]
    puids = [puid] if len(rows) == 1 else [f"{puid}-{i}" for i in range(len(rows))]
    try:
        found, request, response = predictions.predict(endpoint, rows, names, puid)
    except DecantError as error:
        failed = Answer(arm, endpoint, {}, error=error, drawn_by=drawn_by)
        store.record_outcomes(
            [replace(_outcome(t, status, failed), puid=p) for t, p in zip(trials, puids, strict=True)]
        )
        raise
    # A model that answers another number of values than it got rows has given none of them an answer of its own.
    values = found.values if len(found.values) == len(rows) else (list(found.values),) * len(rows)
    answered = Answer(arm, endpoint, {}, prediction=found, drawn_by=drawn_by)
    answers = [replace(answered, prediction=replace(found, values=(value,))) for value in values]
    outcomes = [_outcome(trial, status, answer) for trial, answer in zip(trials, answers, strict=True)]
    given = [found.puid or puid] if len(rows) == 1 else puids
    store.record_outcomes([replace(outcome, puid=p) for outcome, p in zip(outcomes, given, strict=True)])
    return found, request, response


def _ask(engine: Engine, predictions: PredictionClient, trial: Trial, arm: str | None, way: Endpoint) -> Answer:
    puid = uuid.uuid4().hex
    answer = Answer(arm, way.chosen(), {}, drawn_by=way.split)
    try:
        request = predictions.request_for(answer.endpoint, [trial.row], trial.names, puid)
        answer = replace(answer, request=request)
        prediction, response = predictions.send(answer.endpoint, request, puid)
    except DecantError as error:
        return replace(answer, error=error)
    done = replace(answer, response=response, prediction=prediction)
    if trial.truth is None or trial.reward is None:
        return done
    reward, counted = None, arm is None and trial.reward.counted and way.feeds
    try:
        reward = trial.reward(trial.truth, prediction.values[0] if prediction.values else None)
        counted = counted and not reward < 0  # of a formula that was never negative where it was tried
        if counted:
            if not prediction.predictor:
                raise InvalidPayload("reward", UNKNOWN_ARM)
            to = engine.endpoint(trial.namespace, trial.deployment, prediction.predictor)
            predictions.feedback(to, request, response, reward, trial.truth)
    except DecantError as error:
        return replace(done, reward=reward, feedback_error=error)
    return replace(done, reward=reward, fed=counted)


def _outcome(trial: Trial, status: DeploymentStatus, answer: Answer) -> Outcome:
    found = answer.prediction
    failed = answer.error or answer.feedback_error
    if found is None:
        state = OutcomeStatus.PREDICTION_FAILED
    else:
        unfed = answer.feedback_error is not None and answer.asked is None and bool(answer.predictor)
        state = OutcomeStatus.FEEDBACK_FAILED if unfed else OutcomeStatus.OK
    return Outcome(
        puid=found.puid if found else uuid.uuid4().hex,
        namespace=trial.namespace,
        deployment=trial.deployment,
        predictor=answer.predictor,
        segment=(answer.drawn_by or status.in_force or status.requested).text
        if answer.asked is None
        else f"{PINNED}{answer.asked}",
        replay=None,
        row=None,
        prediction=found.values[0] if found and found.values else None,
        truth=trial.truth,
        # As in a replay: what the row earned is kept even where the feedback failed, and the status says that it never
        # reached the arm's counter.
        reward=answer.reward if answer.reward is not None and math.isfinite(answer.reward) else None,
        latency_ms=found.latency_ms if found else 0.0,
        status=state,
        at=datetime.now(UTC),
        error=failed.sentence if failed else "",
        routed=answer.asked is None,
    )
