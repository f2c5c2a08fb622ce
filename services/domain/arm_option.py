"""What an arm can be given beside its model, its replicas and its traffic; engines say which of it they make use of."""

from __future__ import annotations

from enum import StrEnum


class ArmOption(StrEnum):
    """A field of `Predictor` that not every engine makes use of, by the word that people read."""

    START_BUDGET = "start budget"  # start_budget_s
    SECRET = "secret"  # env_secret
    RESOURCES = "resources"
