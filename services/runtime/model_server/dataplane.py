"""What each path of the server does, without HTTP: bytes in, a Reply out."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import Any, NamedTuple

import orjson

from services.errors import DecantError
from services.runtime.model_server.batching import Batcher
from services.runtime.model_server.failures import RequestFailed, UnwritableAnswer, body_of, code_of, v2_body_of
from services.runtime.model_server.feedback import FeedbackDesk
from services.runtime.model_server.instruments import Instruments
from services.runtime.model_server.missing import explain
from services.runtime.model_server.model import Model
from services.runtime.model_server.open_inference import describe, read_inference, render_inference
from services.runtime.model_server.options import ServerOptions
from services.runtime.model_server.seldon import Renderer, read_prediction

log = logging.getLogger(__name__)


class Reply(NamedTuple):
    """An answer: HTTP status, JSON body, and the puid for the response header (empty: none)."""

    code: int
    body: bytes
    puid: str = ""


class Dataplane:
    """Predictions, feedback and metadata of one loaded model. Lives on the event loop."""

    def __init__(
        self, options: ServerOptions, model: Model, batcher: Batcher, desk: FeedbackDesk, instruments: Instruments
    ) -> None:
        self._options, self._model, self._batcher, self._desk = options, model, batcher, desk
        self._instruments = instruments
        self._reader = model.reader
        self._renderer = Renderer(options.predictor, options.node, options.model_image)
        self._path = {options.node: options.model_image}

    async def predict(self, body: bytes, puid: str | None, *, v2: bool = False) -> Reply:
        """A prediction in Seldon's form, or in V2's."""
        instruments = self._instruments
        started = perf_counter()
        called = 0.0
        try:
            if v2:
                inference = read_inference(body, self._reader, puid)
                called = perf_counter()
                answer = await self._batcher.submit(inference.part)
                instruments.model_calls.observe(perf_counter() - called)
                called = 0.0
                options = self._options
                text = render_inference(inference, answer, options.node, options.model_version, options.predictor)
                reply = Reply(200, text, inference.id)
            else:
                prediction = read_prediction(body, self._reader, puid)
                called = perf_counter()
                answer = await self._batcher.submit(prediction.part)
                instruments.model_calls.observe(perf_counter() - called)
                called = 0.0
                reply = Reply(200, self._renderer.render(prediction, answer), prediction.puid)
        except orjson.JSONEncodeError as error:
            log.warning("An answer of the model cannot be written as JSON: %s", error)
            return self._failed(UnwritableAnswer(error), started, called, puid, v2=v2)
        except RequestFailed as error:
            return self._failed(explain(error, body), started, called, puid, v2=v2)
        except DecantError as error:
            return self._failed(error, started, called, puid, v2=v2)
        instruments.predictions.observe(perf_counter() - started)
        return reply

    def _failed(self, error: DecantError, started: float, called: float, puid: str | None, *, v2: bool) -> Reply:
        """Count a failure and put it into words; `called` is when the model was called, 0 unless that failed."""
        code, now = code_of(error), perf_counter()
        if called:
            self._instruments.model_call("/predict", code, now - called)
        self._instruments.request("predictions", code, now - started)
        return Reply(code, v2_body_of(error) if v2 else body_of(error), puid or "")

    async def feedback(self, body: bytes, *, forwarded: bool = False, pinned: str = "") -> Reply:
        """A reward for a prediction. `pinned` is the arm that the request's header names."""
        started = perf_counter()
        try:
            feedback = await self._desk.take(body, forwarded=forwarded, pinned=pinned)
        except DecantError as error:
            self._instruments.request("feedback", code_of(error), perf_counter() - started)
            return Reply(code_of(error), body_of(error))
        took_s = perf_counter() - started
        self._instruments.request("feedback", 200, took_s)
        if feedback.predictor in ("", self._options.predictor):
            self._instruments.model_call("/send-feedback", 200, took_s)
        meta = {"puid": feedback.puid, "routing": {}, "requestPath": self._path}
        return Reply(200, orjson.dumps({"meta": meta}), feedback.puid)

    def metadata(self) -> Reply:
        """Seldon's graph metadata: one node."""
        inputs, outputs = describe(self._model.signature)
        options = self._options
        node = {
            "name": options.node,
            "platform": "mlflow",
            "versions": [options.model_version],
            "inputs": inputs,
            "outputs": outputs,
            "custom": {"flavour": self._model.flavour, "modelUri": options.model_uri},
        }
        whole = {
            "name": options.predictor,
            "models": {options.node: node},
            "graphinputs": inputs,
            "graphoutputs": outputs,
        }
        return _json(whole)

    def v2_metadata(self, name: str) -> Reply:
        """The V2 description of the model. Raises RequestFailed (404) for another name."""
        self.check_name(name)
        inputs, outputs = describe(self._model.signature)
        return _json(
            {
                "name": self._options.node,
                "versions": [self._options.model_version],
                "platform": "mlflow",
                "inputs": inputs,
                "outputs": outputs,
            }
        )

    def check_name(self, name: str) -> None:
        """A V2 path may name the graph node, the predictor or the deployment."""
        known = (self._options.node, self._options.predictor, self._options.deployment)
        if name not in known:
            raise RequestFailed(404, f"There is no model “{name}” here.", f"There is: {known[0]}.")


def _json(value: Any) -> Reply:
    return Reply(200, orjson.dumps(value))
