"""Settings of the parts that Decant starts: their ports and addresses, and what is used in their place."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import AliasChoices, Field, model_validator

from services.settings.base import Group, Port

EnvManager = Literal["local", "virtualenv", "uv", "conda"]


class PartSettings(Group):
    """Dashboard, gateway, MLflow, Prometheus and model servers."""

    dashboard_port: Port = Field(8501, description="Port of the dashboard.")
    gateway_port: Port = Field(8003, description="Port of the gateway (Envoy): predictions and feedback.")
    gateway_address: str = Field(
        "127.0.0.1",
        description="Address on which the gateway listens; `0.0.0.0` in a container. It asks nobody who they are.",
    )
    gateway_stats_port: Port = Field(8004, description="Port where Prometheus reads the gateway's own counters.")
    mlflow_port: Port = Field(5000, description="Port of the local MLflow server.")
    prometheus_port: Port = Field(9090, description="Port of the local Prometheus.")
    model_port_first: Port = Field(8100, description="First of the ports given to model servers.")
    model_port_last: Port = Field(8299, description="Last of the ports given to model servers.")

    mlflow_tracking_uri: str = Field(
        "",
        validation_alias=AliasChoices("DECANT_MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_URI"),
        description="A tracking server to use instead of a local one; `MLFLOW_TRACKING_URI` works too. "
        "Empty: Decant runs its own.",
    )
    mlflow_experiment: str = Field("wine-quality", description="Experiment into which training runs go.")
    env_manager: EnvManager = Field("local", description="Environment manager for training runs.")

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        ports = self.ports
        for name, port in ports.items():
            twins = [other for other, p in ports.items() if p == port and other != name]
            if twins:
                raise ValueError(f"DECANT_{name.upper()} and DECANT_{twins[0].upper()} are both {port}")
        if self.model_port_last < self.model_port_first:
            raise ValueError("DECANT_MODEL_PORT_LAST is below DECANT_MODEL_PORT_FIRST")
        inside = [n for n, p in ports.items() if self.model_port_first <= p <= self.model_port_last]
        if inside:
            raise ValueError(f"DECANT_{inside[0].upper()} lies within the model servers' ports")
        return self

    @property
    def ports(self) -> dict[str, int]:
        """The fixed ports by setting name."""
        names = ("dashboard_port", "gateway_port", "gateway_stats_port", "mlflow_port", "prometheus_port")
        return {name: getattr(self, name) for name in names}

    @property
    def runs_mlflow(self) -> bool:
        """Whether Decant starts an MLflow server of its own."""
        return not self.mlflow_tracking_uri

    @property
    def tracking_uri(self) -> str:
        return self.mlflow_tracking_uri or f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.gateway_port}"
