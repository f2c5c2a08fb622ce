"""Failures of single requests, and how they look on the wire: Seldon's `status` object with a 4xx or 5xx."""

from __future__ import annotations

from http import HTTPStatus

import orjson

from services.errors import DecantError, InvalidPayload


class RequestFailed(DecantError):
    """A request that gets `code` as its answer. `reason` is the machine-readable word beside the sentence."""

    def __init__(self, code: int, sentence: str, hint: str = "", reason: str = "") -> None:
        super().__init__(sentence, hint)
        self.code = code
        self.reason = reason or HTTPStatus(code).name


class ModelFailed(RequestFailed):
    """The model raised. `blames_data` says that its error type means "these values cannot be used" (400, else 500)."""

    def __init__(self, error: BaseException, blames_data: bool) -> None:
        self.blames_data = blames_data
        text = " ".join(str(error).split())[:500] or "no message"
        says = "cannot use these values" if blames_data else "failed"
        hint = "" if blames_data else "The predictor's log has the details."
        code = HTTPStatus.BAD_REQUEST if blames_data else HTTPStatus.INTERNAL_SERVER_ERROR
        super().__init__(code, f"The model {says}: {type(error).__name__}: {text}", hint, "MODEL_ERROR")


class UnwritableAnswer(RequestFailed):
    """The model answered with something that JSON cannot carry, such as a whole number of more than 64 bits."""

    def __init__(self, error: BaseException) -> None:
        text = f"The model's answer cannot be written as JSON: {error}."
        super().__init__(
            HTTPStatus.INTERNAL_SERVER_ERROR, text, "Let the model return numbers and texts that fit.", "MODEL_ERROR"
        )


class NotReady(RequestFailed):
    """The model is still loading, or the server is stopping; another replica or a moment later will do."""

    def __init__(self, why: str) -> None:
        super().__init__(HTTPStatus.SERVICE_UNAVAILABLE, f"The model is not ready: {why}.", "Try again shortly.")


def code_of(error: DecantError) -> int:
    """The HTTP status that `error` is answered with."""
    if isinstance(error, RequestFailed):
        return int(error.code)
    return 400 if isinstance(error, InvalidPayload) else 500


def body_of(error: DecantError) -> bytes:
    """The Seldon v1 error body."""
    code = code_of(error)
    reason = error.reason if isinstance(error, RequestFailed) else "BAD_REQUEST" if code == 400 else "INTERNAL_ERROR"
    return orjson.dumps({"status": {"status": "FAILURE", "code": code, "info": _words(error), "reason": reason}})


def v2_body_of(error: DecantError) -> bytes:
    """The Open Inference Protocol's error body."""
    return orjson.dumps({"error": _words(error)})


def _words(error: DecantError) -> str:
    """What to tell; a model's own message may hold half characters, which JSON cannot carry."""
    return str(error).encode("utf-8", "replace").decode()
