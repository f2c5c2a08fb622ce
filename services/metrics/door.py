"""The door to Prometheus: prometheus-api-client with Decant's timeouts, its failures in Decant's words."""

from __future__ import annotations

import ast
import json
import math
import re
import threading
import time
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.util.retry import Retry

from services.errors import DecantError, Rejected, Unavailable, without_secrets
from services.metrics.access import OPEN, Access

PART = "Prometheus"
HINT = "Charts and rates come back when it does; deployments and history are not touched."
REFUSED = (401, 403)
REFUSED_HINT = "Check DECANT_PROMETHEUS_TOKEN, or DECANT_PROMETHEUS_USER and DECANT_PROMETHEUS_PASSWORD."
UNNAMED_HINT = (
    "Rates, charts and live rewards need DECANT_PROMETHEUS_URL: the Prometheus that scrapes Seldon's pods. Everything "
    "else works without."
)
BUSY = (502, 503, 504)  # starting, replaying its log, overloaded, or a proxy in front of a dead one


PROBE_TIMEOUT_S = 1.2
"""A question that costs nothing is answered in milliseconds, so this long without an answer is silence."""

HEARD_FOR_S = 2.0
"""After an answer, Prometheus is taken to be there for this long without asking."""

SILENT_FOR_S = 4.0
"""After silence, queries fail at once for this long, so that one page does not wait once per chart."""

TOLD_FOR_S = 300.0
"""How long samples are kept changes with a restart at most, so it is asked for this seldom."""


class PrometheusDoor:
    """Instant and range queries. Nothing is retried: a page that is redrawn every few seconds does that by itself.

    `timeout_s` bounds connecting and each wait for the bytes of a query, which may have much to add up. Whether
    anybody is there at all is asked first, with less patience and once for all threads.
    """

    def __init__(self, base_url: str, timeout_s: float, access: Access = OPEN) -> None:
        self._timeout_s = timeout_s
        self._asking = threading.Lock()
        self._heard_at = self._silent_at = -math.inf
        self._told = (-math.inf, "")
        self._named = bool(base_url)
        self._shown = without_secrets(base_url.rstrip("/"))
        session = requests.Session()
        # A proxy from the environment must not swallow what never leaves the machine.
        session.trust_env = urlsplit(base_url).hostname not in ("127.0.0.1", "localhost", "::1")
        access.dress(session)
        self._session, self._url = session, base_url.rstrip("/")
        self._client = PrometheusConnect(
            url=self._url,
            session=session,
            # Without `read`, a wait for bytes that ran out would look like a connection that failed.
            retry=Retry(total=0, read=False),
            timeout=timeout_s,
        )

    def probe(self) -> None:
        """Return when Prometheus answers queries, whatever was remembered of it."""
        if not self._named:
            raise Unavailable(PART, "no address is set", UNNAMED_HINT)
        try:
            self._client.custom_query("vector(1)", timeout=PROBE_TIMEOUT_S)
        except (requests.RequestException, PrometheusApiClientException, KeyError, TypeError) as error:
            if isinstance(error, requests.Timeout):
                self._silent_at = time.monotonic()
            raise self._translate(error, PROBE_TIMEOUT_S) from error
        self._heard_at, self._silent_at = time.monotonic(), -math.inf

    def _find(self) -> None:
        """Return if Prometheus is there, or was a moment ago."""
        with self._asking:
            now = time.monotonic()
            if now < self._silent_at + SILENT_FOR_S:
                raise self._silent(PROBE_TIMEOUT_S)
            if now > self._heard_at + HEARD_FOR_S:
                self.probe()

    def instant(self, promql: str, at: datetime) -> list[dict[str, Any]]:
        """The rows of an instant query at `at`: `{"metric": labels, "value": [time, text]}` (or `values`)."""
        self._find()
        try:
            return list(self._client.custom_query(promql, params={"time": f"{at.timestamp():.3f}"}))
        except (requests.RequestException, PrometheusApiClientException, KeyError, TypeError) as error:
            raise self._translate(error, self._timeout_s) from error

    def range(self, promql: str, start: datetime, end: datetime, step_s: int) -> list[dict[str, Any]]:
        """The rows of a range query: `{"metric": labels, "values": [[time, text], ...]}`."""
        self._find()
        # The library rounds both times to whole seconds; the parameters override that.
        exact = {"start": f"{start.timestamp():.3f}", "end": f"{end.timestamp():.3f}"}
        try:
            return list(self._client.custom_query_range(promql, start, end, str(step_s), params=exact))
        except (requests.RequestException, PrometheusApiClientException, KeyError, TypeError) as error:
            raise self._translate(error, self._timeout_s) from error

    def retention(self) -> str:
        """How long samples are kept, in Prometheus' words; "" where what answers does not say, as Thanos and Mimir."""
        until, told = self._told
        if time.monotonic() < until:
            return told
        try:
            answer = self._session.get(f"{self._url}/api/v1/status/runtimeinfo", timeout=PROBE_TIMEOUT_S)
        except requests.RequestException:
            return told
        if answer.status_code in BUSY:
            return told
        try:
            told = str(answer.json()["data"]["storageRetention"]) if answer.ok else ""
        except (ValueError, KeyError, TypeError):
            told = ""
        self._told = (time.monotonic() + TOLD_FOR_S, told)
        return told

    def _silent(self, waited_s: float) -> Unavailable:
        return Unavailable(PART, f"no answer from {self._shown} within {waited_s:g} s", HINT)

    def _translate(self, error: Exception, waited_s: float) -> DecantError:
        if isinstance(error, requests.Timeout):
            self._heard_at = -math.inf  # too long a query, or nobody there: the next one asks
            return self._silent(waited_s)
        if isinstance(error, requests.exceptions.SSLError):
            return Unavailable(
                PART,
                f"the certificate of {self._shown} is not trusted",
                "Name the certificates to trust with DECANT_PROMETHEUS_CA.",
            )
        if isinstance(error, requests.ConnectionError):
            return Unavailable(PART, f"nothing answers at {self._shown}", HINT)
        if isinstance(error, PrometheusApiClientException):
            status, words = _answer(str(error))
            if status in BUSY:
                return Unavailable(PART, f"{status}: {words}", HINT)
            return Rejected(PART, status, words, REFUSED_HINT if status in REFUSED else "")
        return Unavailable(PART, f"what answers at {self._shown} is not Prometheus", "Check DECANT_PROMETHEUS_URL.")


def _answer(text: str) -> tuple[int, str]:
    """Status and words out of the library's `HTTP Status Code 400 (b'{...}')`."""
    found = re.fullmatch(r"HTTP Status Code (\d+) \((.*)\)", text, re.DOTALL)
    if not found:
        return 0, text
    try:
        body = ast.literal_eval(found[2]).decode(errors="replace")
        words = str(json.loads(body)["error"])
    except (ValueError, SyntaxError, KeyError, TypeError):
        words = "an answer that could not be read"
    return int(found[1]), words
