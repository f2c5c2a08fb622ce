"""Settings of the Prometheus that is read: Decant's own, or another one and what it takes to be let in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from services.settings.base import Group

MAX_SCRAPE_S = 60
_MATCHER = r'[a-zA-Z_][a-zA-Z0-9_]*(=|!=|=~|!~)"([^"\\\n]|\\.)*"'


class PrometheusSettings(Group):
    """See docs/monitoring.md."""

    prometheus_url: str = Field(
        "",
        description="A Prometheus to query instead of a local one. Empty: Decant runs its own, with the local engine; "
        "with Kubernetes there are no rates then.",
    )
    prometheus_namespace_label: str = Field(
        "namespace",
        pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$",
        description="Label that holds the namespace of a model server in Prometheus.",
    )
    prometheus_matchers: str = Field(
        "",
        description='What every query must match besides, where clusters share a Prometheus: `cluster="eu1"`.',
    )
    prometheus_token: SecretStr = Field(SecretStr(""), description="Bearer token for Prometheus.")
    prometheus_token_file: str = Field(
        "", description="File that holds the bearer token for Prometheus, read anew for every request."
    )
    prometheus_user: str = Field("", description="User name for Prometheus (basic auth).")
    prometheus_password: SecretStr = Field(SecretStr(""), description="Password for Prometheus (basic auth).")
    prometheus_ca: str = Field("", description="File of certificates to trust when Prometheus is asked over https.")
    prometheus_tenant: str = Field(
        "", description="Tenant to ask for (header X-Scope-OrgID), for Mimir and others with several tenants."
    )
    prometheus_bin: str = Field("", description="Path of a `prometheus` binary. Empty: found on the path or fetched.")
    prometheus_retention: str = Field(
        "60d",
        pattern=r"^\d+(ms|s|m|h|d|w|y)$",
        description="How long Decant's own Prometheus keeps samples: longer than any test that is read from its "
        "counters. Two arms of one replica each take up to 50 MB a day, 3 GB in 60 days; each further replica 18 MB a "
        "day, 1 GB.",
    )
    scrape_interval_s: int = Field(
        2, ge=1, le=MAX_SCRAPE_S, description="Seconds between two scrapes of a model server."
    )

    @field_validator("prometheus_matchers")
    @classmethod
    def _matchers_can_be_read(cls, text: str) -> str:
        if text and not re.fullmatch(rf"{_MATCHER}(,{_MATCHER})*", text):
            raise ValueError(f'“{text}” is not a list of matchers such as cluster="eu1",env!="test"')
        return text

    @model_validator(mode="after")
    def _one_way_into_prometheus(self) -> Self:
        token, file = self.prometheus_token.get_secret_value(), self.prometheus_token_file
        ways = {"DECANT_PROMETHEUS_TOKEN": token, "DECANT_PROMETHEUS_TOKEN_FILE": file}
        ways["DECANT_PROMETHEUS_USER"] = self.prometheus_user
        given = [name for name, value in ways.items() if value]
        if len(given) > 1:
            raise ValueError(f"{given[0]} and {given[1]} are both set: give one")
        for name, path in (("DECANT_PROMETHEUS_TOKEN_FILE", file), ("DECANT_PROMETHEUS_CA", self.prometheus_ca)):
            if path and not Path(path).is_file():
                raise ValueError(f"{name} names {path}, which is no file")
        return self
