"""Putting late truths into the ledger and sending their rewards to the arms' counters.

The ledger comes first: what is in it is marked as not yet sent, so that whoever is killed between the two leaves a
reward that can be sent later (`resend`), never one that is counted twice in the ledger.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from services.deployments.engine import Engine
from services.domain import Endpoint
from services.errors import DecantError, Unavailable
from services.evidence.feeding import Unfed
from services.evidence.late import LateTruth
from services.evidence.store import EvidenceStore
from services.traffic.client import PredictionClient
from services.traffic.rewards import Reward
from services.truths.counting import Counting
from services.truths.files import BadLine, read_truths
from services.truths.fitting import Fitting
from services.truths.report import Report

CHUNK = 1_000
"""Lines of one transaction: nobody else can write to the ledger for as long as it takes, some tenths of a second."""

AT_ONCE = 16
"""Feedbacks under way at a time."""

SENT_WITHOUT_ROW: dict[str, Any] = {"data": {"names": [], "ndarray": []}}
"""The request of a late feedback: the ledger keeps no features, and arms do not ask for them."""


@dataclass(frozen=True)
class Formula:
    """What truths earn: by `chosen`, or, without it, by the reward of the replay that sent the row."""

    chosen: Reward | None = None

    def of(self, spec: Mapping[str, Any] | None) -> Reward | None:
        """The formula for rows of the replay with this spec; None if nobody has named one."""
        if self.chosen is not None or spec is None or "reward" not in spec:
            return self.chosen
        return Reward.from_json(spec["reward"])

    def reward(self, truth: object, prediction: object, spec: Mapping[str, Any] | None) -> float | None:
        formula = self.of(spec)
        if formula is None:
            return None
        found = formula(truth, prediction)
        return found if math.isfinite(found) else None

    def known(self, spec: Mapping[str, Any] | None) -> bool:
        return self.of(spec) is not None

    def counted(self, spec: Mapping[str, Any] | None) -> bool:
        formula = self.of(spec)
        return formula is None or formula.counted


def attach_truths(
    engine: Engine,
    predictions: PredictionClient,
    store: EvidenceStore,
    lines: Iterable[str],
    *,
    who: str,
    why: str = "",
    reward: Reward | None = None,
    only: tuple[str, str] | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Callable[[Report], None] | None = None,
) -> Report:
    """Attach what a CSV file says to the predictions it names, and give feedback for rewards that are new.

    What cannot be true of its row is refused, line by line; see services.truths.fitting.
    Counters hear only of rows that tell of the running test and the split in force; see services.truths.counting.

    Args:
        lines: the file, its header first; see services.truths.files.
        reward: the formula for truths; None takes that of the replay which sent the row, and none for other requests.
        only: (namespace, deployment) whose predictions are meant.
        overwrite: replace what is there and differs; it is recorded what it was. Counters keep the first reward.
        progress: called with the report after every CHUNK lines.

    Raises:
        InvalidInput: if the columns are not what is needed. Lines before a broken one stay attached.
        Unavailable: if the store does not answer.
    """
    report = Report(dry_run=dry_run)
    desk = _Desk(engine, predictions, store, report)
    found = read_truths(lines)
    while some := list(islice(found, CHUNK)):
        report.lines += len(some)
        for bad in (one for one in some if isinstance(one, BadLine)):
            report.add_bad(bad)
        late = [one for one in some if isinstance(one, LateTruth)]
        # Asked before the transaction, because the engine's answer may take its time.
        counting = Counting(engine, store, store.ledger.deployments_of([one.puid for one in late], only))
        formula = Formula(reward)
        aside = counting.gate(formula.of)
        fates, to_feed = store.ledger.attach(
            late,
            formula,
            who=who,
            why=why,
            only=only,
            overwrite=overwrite,
            dry_run=dry_run,
            aside=aside,
            unfit=Fitting(counting.test_of, formula.of),
        )
        for one in fates:
            report.add(one)
        if not dry_run:
            desk.send(store.ledger.unfed(ids=to_feed, limit=len(to_feed)))
        if progress is not None:
            progress(report)
    return report


def resend(
    engine: Engine,
    predictions: PredictionClient,
    store: EvidenceStore,
    *,
    only: tuple[str, str] | None = None,
    progress: Callable[[Report], None] | None = None,
) -> Report:
    """Send the rewards that have not reached their arm's counter, of late truths and of replays; each once.

    Where only the confirmation was lost, the counter gets the reward a second time; the ledger does not. A reward that
    tells nothing of what serves now stays in the ledger alone, and is not asked about again.

    Raises Unavailable if the store does not answer.
    """
    report = Report()
    desk = _Desk(engine, predictions, store, report)
    after = 0
    while waiting := store.ledger.unfed(only=only, after=after, limit=CHUNK):
        after = waiting[-1].id
        counting = Counting(engine, store, {(one.namespace, one.deployment) for one in waiting})
        desk.send(_still_counted(store, waiting, counting, report))
        if progress is not None:
            progress(report)
    return report


def _still_counted(store: EvidenceStore, waiting: Sequence[Unfed], counting: Counting, report: Report) -> list[Unfed]:
    """Those whose counter should still hear of them; the others wait no more."""
    reasons = {one.id: counting.aside((one.namespace, one.deployment), one.segment, one.at) for one in waiting}
    store.ledger.fed({number: "" for number, words in reasons.items() if words})
    report.add_aside(filter(None, reasons.values()))
    return [one for one in waiting if not reasons[one.id]]


def answer_of(one: Unfed) -> dict[str, Any]:
    """The answer of the arm as its feedback wants it: what it said, and that it was this arm that said it."""
    return {
        "data": {"names": [], "ndarray": [one.prediction]},
        "meta": {"puid": one.puid, "tags": {"predictor": one.predictor}},
    }


class _Desk:
    """Sends rewards and writes into the ledger which arrived. Stops trying once nobody answers."""

    def __init__(self, engine: Engine, predictions: PredictionClient, store: EvidenceStore, report: Report) -> None:
        self._engine, self._predictions, self._store, self._report = engine, predictions, store, report
        self._silent: Unavailable | None = None

    def send(self, waiting: Sequence[Unfed]) -> None:
        if not waiting:
            return
        if self._silent is None:
            results = dict(self._results(waiting))
            self._store.ledger.fed(results)
        else:
            results = {one.id: self._silent.sentence for one in waiting}
        self._report.fed += sum(not words for words in results.values())
        self._report.unfed += sum(bool(words) for words in results.values())
        self._report.feedback_error = next(filter(None, results.values()), self._report.feedback_error)

    def _results(self, waiting: Sequence[Unfed]) -> Iterator[tuple[int, str]]:
        routes = {key: self._route(*key) for key in {(w.namespace, w.deployment, w.predictor) for w in waiting}}
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="late-truth") as pool:
            yield from pool.map(lambda one: (one.id, self._send(one, routes)), waiting)

    def _route(self, namespace: str, deployment: str, predictor: str) -> Endpoint | DecantError:
        try:
            return self._engine.endpoint(namespace, deployment, predictor)
        except DecantError as error:
            return error

    def _send(self, one: Unfed, routes: Mapping[tuple[str, str, str], Endpoint | DecantError]) -> str:
        """Returns the words of what went wrong, or ""."""
        route = routes[one.namespace, one.deployment, one.predictor]
        if isinstance(route, DecantError):
            return route.sentence
        if self._silent is not None:
            return self._silent.sentence
        try:
            self._predictions.feedback(route, SENT_WITHOUT_ROW, answer_of(one), one.reward, one.truth)
        except Unavailable as error:
            self._silent = error
            return error.sentence
        except DecantError as error:
            return error.sentence
        return ""
