"""A model's first calls, made on its own input example before anybody waits for them.

The first calls pay for lazy imports, for MLflow's signature check and for the comparison of merged with single calls
(see `batching`). Left to the first requests, that would make a fresh replica many times slower than its siblings for a
second, and the gateway would send it next to nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import perf_counter

from services.errors import DecantError
from services.runtime.model_server.batching import INLINE_AFTER, INLINE_BELOW_S, PROBATION_BATCHES, Merger
from services.runtime.model_server.parts import Part

log = logging.getLogger(__name__)

LONGEST_S = 3.0  # a slow model is not worth more of its start
MOST_MERGED = 8


def rehearse(merger: Merger, examples: Sequence[Part]) -> bool:
    """Call the model singly and merged. Returns whether its single calls stayed short, the first one aside."""
    if not examples:
        return False
    began = perf_counter()
    short = 0
    for call in range(INLINE_AFTER + 1):
        started = perf_counter()
        (outcome,) = merger.compute([examples[call % len(examples)]])
        if isinstance(outcome, DecantError):
            log.info("The model's own input example could not be predicted: %s", outcome.sentence)
            return False
        short += perf_counter() - started < INLINE_BELOW_S
        if perf_counter() - began > LONGEST_S:
            return False
    several = [examples[i % len(examples)] for i in range(MOST_MERGED)]
    for batch in range(PROBATION_BATCHES + 1):
        if len(examples) > 1 and perf_counter() - began < LONGEST_S:
            merger.compute(several[: 2 + batch % (MOST_MERGED - 1)])
    return short >= INLINE_AFTER
