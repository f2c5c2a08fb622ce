"""The gateway's own errors, in the shape of Seldon's: what happened, to which predictor, what to do next."""

from __future__ import annotations

from typing import Any

from services.runtime.envoy.model import PREDICTOR_HEADER
from services.settings import Settings

_ARM = f"%RESP({PREDICTOR_HEADER})%"
_ASKED = "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"


def local_replies(settings: Settings) -> dict[str, Any]:
    """Envoy's `local_reply_config`. Envoy quotes what it fills in, so the body is JSON whatever a client sent."""
    stalled = "The request stopped halfway: nothing came for too long. Send it again."
    by_flag = [
        (
            ["UH"],
            "NO_READY_REPLICA",
            f"Predictor {_ARM} has no replica that is ready. Wait until it is up, or move its traffic to another.",
        ),
        (
            ["NC"],
            "PREDICTOR_NOT_LOADED",
            f"The gateway does not know the replicas of predictor {_ARM} yet. Try again in a moment.",
        ),
        (
            ["UO"],
            "TOO_MANY_REQUESTS_IN_FLIGHT",
            f"Predictor {_ARM} has {settings.max_connections} requests in flight, the most that are allowed. "
            "Send fewer at once, or raise DECANT_MAX_CONNECTIONS.",
        ),
        (
            ["UT"],
            "PREDICTOR_TIMEOUT",
            f"Predictor {_ARM} did not answer within {settings.request_timeout_s:g} s. "
            "Send fewer rows at once, or raise DECANT_REQUEST_TIMEOUT_S.",
        ),
        (
            ["UF", "URX"],
            "PREDICTOR_UNREACHABLE",
            f"No replica of predictor {_ARM} accepts connections. Nothing was sent to it: try again in a moment.",
        ),
        (
            ["UC", "UR", "LR", "UPE"],
            "CONNECTION_LOST",
            f"The connection to predictor {_ARM} broke before its answer was complete. It was not asked again, "
            "because the model may have seen the request. Send it again if that does no harm.",
        ),
        (["SI"], "REQUEST_STALLED", stalled),
    ]
    by_status = [
        (404, "NOT_FOUND", f"{_ASKED}: %LOCAL_REPLY_BODY%"),
        (408, "REQUEST_STALLED", stalled),
        (
            413,
            "REQUEST_TOO_LARGE",
            f"The request body is larger than {settings.max_body_mb} MiB. Send fewer rows at once, "
            "or raise DECANT_MAX_BODY_MB.",
        ),
        # Every other 503 has a flag, and so its words above: this one is the overload manager's.
        (
            503,
            "GATEWAY_OVERLOADED",
            "The gateway is short of memory and takes no new requests. Send fewer or smaller requests at once.",
        ),
    ]
    return {
        "mappers": [
            *(
                {"filter": {"response_flag_filter": {"flags": flags}}, "body_format_override": _body(reason, info)}
                for flags, reason, info in by_flag
            ),
            *(
                {"filter": {"status_code_filter": _status(code)}, "body_format_override": _body(reason, info)}
                for code, reason, info in by_status
            ),
        ],
        "body_format": _body("GATEWAY_ERROR", "The gateway refused the request: %RESPONSE_CODE_DETAILS%."),
    }


def _body(reason: str, info: str) -> dict[str, Any]:
    status = {"status": "FAILURE", "code": "%RESPONSE_CODE%", "info": info, "reason": reason}
    return {"json_format": {"status": status}, "content_type": "application/json"}


def _status(code: int) -> dict[str, Any]:
    return {"comparison": {"op": "EQ", "value": {"default_value": code, "runtime_key": f"decant.reply_{code}"}}}
