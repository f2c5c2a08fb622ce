"""Every DECANT_* variable: typed, documented, validated. Nothing else in Decant reads the environment.

docs/settings.md is checked against this class by a test.
"""

from __future__ import annotations

import difflib
import getpass
import os
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.domain import MAX_START_BUDGET_S, check_name
from services.errors import InvalidInput, InvalidName

ROOT = Path(__file__).resolve().parent.parent
"""The checkout: where `data/`, `app/` and `manifests/` are."""

Port = Annotated[int, Field(ge=1, le=65535)]
_MATCHER = r'[a-zA-Z_][a-zA-Z0-9_]*(=|!=|=~|!~)"([^"\\\n]|\\.)*"'
EVERY_INTERFACE = ("", "0.0.0.0", "::")
SignIn = Literal["off", "oidc"]
EnvManager = Literal["local", "virtualenv", "uv", "conda"]
EngineKind = Literal["local", "kubernetes"]
IngressKind = Literal["ambassador", "istio", "none"]
DEFAULT_NAMESPACE = "seldon"


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a passwd entry
        return "unknown"


def _listed(text: str) -> list[str]:
    """The names in a list separated by commas, each once."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


class Settings(BaseSettings):
    """Decant's settings; each field is the variable `DECANT_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="DECANT_", extra="ignore", populate_by_name=True)

    state_dir: Path = Field(
        ROOT / ".decant", description="Folder for all state: desired deployments, models, databases, logs."
    )
    user: str = Field(default_factory=_login_name, description="The name written beside every change in the history.")

    engine: EngineKind = Field(
        "local", description="What runs the deployments: this machine, or Seldon Core in a Kubernetes cluster."
    )
    kubeconfig: str = Field(
        "",
        description="Path of the kubeconfig that leads to the cluster. Empty: `KUBECONFIG`, `~/.kube/config`, or in a "
        "pod its own service account.",
    )
    kube_context: str = Field("", description="Context of the kubeconfig. Empty: its current one.")
    namespaces: str = Field(
        "",
        description="Namespaces of the cluster that Decant may use, separated by commas; the first is where new "
        "deployments go. Empty: all.",
    )
    ingress: IngressKind = Field(
        "ambassador", description="Whose routes in the cluster divide the traffic and say which split is in force."
    )
    ingress_url: str = Field(
        "", description="Address of the cluster's ingress as seen from here; predictions through the split go there."
    )

    sign_in: SignIn = Field(
        "off", description="Whether people sign in at the dashboard, through OpenID Connect. See docs/security.md."
    )
    leads: str = Field(
        "",
        description="Who may change things: e-mail addresses (or what `DECANT_NAME_CLAIM` says), separated by commas; "
        "`*@example.com` for all of a domain.",
    )
    viewers: str = Field(
        "",
        description="Who may look and change nothing. Empty: everybody who can sign in, or, with "
        "`DECANT_ROLES_CLAIM`, those whom the claim names.",
    )
    roles_claim: str = Field(
        "", description="Claim of the ID token whose values name roles: `groups`, `roles`, `realm_access.roles`."
    )
    lead_role: str = Field("decant-lead", description="Values of that claim that make a lead, separated by commas.")
    viewer_role: str = Field("decant-viewer", description="Values of that claim that make a viewer.")
    name_claim: str = Field(
        "email",
        description="Claim of the ID token that is a person's name in lists, history and, with Kubernetes, in the "
        "cluster's RBAC.",
    )
    sign_in_hours: float = Field(12.0, gt=0, le=720, description="How long a sign-in lasts, hours.")
    oidc_issuer: str = Field("", description="Address of the identity provider: its issuer, or its metadata document.")
    oidc_client_id: str = Field("", description="Decant's client id at the identity provider.")
    oidc_client_secret: SecretStr = Field(SecretStr(""), description="Decant's client secret.")
    oidc_client_secret_file: str = Field("", description="File that holds the client secret, as clusters mount them.")
    oidc_cookie_secret: SecretStr = Field(
        SecretStr(""),
        description="What signs the cookies; the same for all replicas of the dashboard. Empty: made once and kept in "
        "the state folder.",
    )
    oidc_cookie_secret_file: str = Field("", description="File that holds what signs the cookies.")
    oidc_scopes: str = Field("openid email profile", description="Scopes that Decant asks for.")
    public_url: str = Field(
        "",
        description="Address at which people open the dashboard, such as `https://decant.example.com`; signing in "
        "leads back there. Empty: where it listens.",
    )
    dashboard_address: str = Field(
        "127.0.0.1",
        description="Address on which the dashboard listens. Anything but this machine's own needs sign-in.",
    )
    allow_without_sign_in: bool = Field(
        False,
        description="Listen there without sign-in all the same: everybody who reaches the dashboard may then change "
        "everything.",
    )

    model_store: str = Field(
        "",
        description="Where models are copied so that Seldon can read them: `s3://bucket/prefix`, `gs://bucket/prefix` "
        "or `pvc://claim/prefix`. Needed with Kubernetes, unless every model already lies in such a place.",
    )
    model_store_path: str = Field("", description="Where the volume of a `pvc://` model store is mounted for Decant.")
    model_store_endpoint: str = Field(
        "",
        validation_alias=AliasChoices(
            "DECANT_MODEL_STORE_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "MLFLOW_S3_ENDPOINT_URL"
        ),
        description="Address of an S3 server that is not Amazon's, such as `https://minio.example:9000`; "
        "`AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL` and `MLFLOW_S3_ENDPOINT_URL` work too.",
    )
    model_store_ca: str = Field(
        "",
        validation_alias=AliasChoices("DECANT_MODEL_STORE_CA", "AWS_CA_BUNDLE"),
        description="File of certificates to trust when the model store is asked over https; `AWS_CA_BUNDLE` works "
        "too.",
    )
    model_secret: str = Field(
        "",
        description="Name of the Secret with which Seldon opens the model store (`envSecretRefName`). It must be in "
        "the deployment's namespace.",
    )

    start_budget_s: int = Field(
        1800,
        ge=0,
        le=MAX_START_BUDGET_S,
        description="How long a new arm in a cluster may take to start, seconds: Seldon's MLflow server builds the "
        "model's environment first. 0: Seldon's own, about 75.",
    )

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
        "15d", pattern=r"^\d+(ms|s|m|h|d|w|y)$", description="How long Prometheus keeps samples."
    )
    scrape_interval_s: int = Field(2, ge=1, le=60, description="Seconds between two scrapes of a model server.")
    database_url: str = Field(
        "", description="SQLAlchemy URL of the evidence store. Empty: SQLite in the state folder."
    )
    queue_url: str = Field(
        "",
        description="Where jobs wait for a worker: `redis://...`, `rediss://...`, or a PostgreSQL's SQLAlchemy URL. "
        "Empty: the PostgreSQL of `DECANT_DATABASE_URL` if that is one, else a file in the state folder.",
    )

    replay_job_rows: int = Field(
        100_000,
        ge=0,
        description="Rows from which several senders share a replay: the pods of a Job, where Decant itself runs in a "
        "cluster, over a PostgreSQL. 0: never.",
    )
    replay_job_workers: int = Field(
        4, ge=1, le=64, description="How many senders share such a replay, each with one processor core to use."
    )
    pod_name: str = Field(
        "", description="The pod that this worker runs in, set by its manifest: a replay's senders are made like it."
    )
    pod_namespace: str = Field("", description="The namespace of that pod, where the senders run too.")

    max_body_mb: int = Field(
        16, ge=1, le=1024, description="Largest request body that gateway and model servers take, MiB."
    )
    max_upload_mb: int = Field(
        100, ge=1, le=4096, description="Largest dataset that can be uploaded for a replay, MiB."
    )
    max_connections: int = Field(2048, ge=16, description="Connections that the gateway accepts at once.")
    request_timeout_s: float = Field(30.0, gt=0, description="Longest time a prediction may take, seconds.")
    start_timeout_s: float = Field(
        120.0, gt=0, description="Longest time a model server may take to load its model, seconds."
    )
    drain_s: float = Field(5.0, ge=0, description="How long a replaced model server may finish its requests, seconds.")
    batch_rows: int = Field(256, ge=1, description="Most rows that a model server merges into one predict call.")

    @field_validator("prometheus_matchers")
    @classmethod
    def _matchers_can_be_read(cls, text: str) -> str:
        if text and not re.fullmatch(rf"{_MATCHER}(,{_MATCHER})*", text):
            raise ValueError(f'“{text}” is not a list of matchers such as cluster="eu1",env!="test"')
        return text

    @model_validator(mode="after")
    def _one_way_into_prometheus(self) -> Settings:
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

    @field_validator("namespaces")
    @classmethod
    def _namespaces_are_names(cls, text: str) -> str:
        for name in _listed(text):
            try:
                check_name("namespace", name)
            except InvalidName as error:
                raise ValueError(error.sentence) from error
        return text

    @field_validator("dashboard_address")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        return value.strip().strip("[]")

    @field_validator("public_url")
    @classmethod
    def _is_an_origin(cls, value: str) -> str:
        value = value.strip().rstrip("/")
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query):
            raise ValueError("is not an address like https://decant.example.com, without a path")
        return value

    @model_validator(mode="after")
    def _ports_differ(self) -> Settings:
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

    @cached_property
    def paths(self) -> StatePaths:
        return StatePaths(self.state_dir.expanduser().resolve())

    @property
    def runs_mlflow(self) -> bool:
        """Whether Decant starts an MLflow server of its own."""
        return not self.mlflow_tracking_uri

    @property
    def tracking_uri(self) -> str:
        return self.mlflow_tracking_uri or f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def runs_locally(self) -> bool:
        """Whether this machine serves the models: gateway, controller and model servers are Decant's own."""
        return self.engine == "local"

    @property
    def allowed_namespaces(self) -> tuple[str, ...]:
        """Those of the cluster that may be used; empty: all, or there is no cluster."""
        return () if self.runs_locally else tuple(_listed(self.namespaces))

    @property
    def default_namespace(self) -> str:
        """Where a deployment goes for which nobody names a namespace."""
        return next(iter(self.allowed_namespaces), DEFAULT_NAMESPACE)

    @property
    def runs_prometheus(self) -> bool:
        return self.runs_locally and not self.prometheus_url

    @property
    def prometheus_address(self) -> str:
        """Empty where nobody has named one: a local Prometheus could not reach a cluster's pods."""
        if not self.runs_locally and not self.prometheus_url:
            return ""
        return (self.prometheus_url or f"http://127.0.0.1:{self.prometheus_port}").rstrip("/")

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def dashboard_url(self) -> str:
        """Where this machine finds the dashboard."""
        host = "127.0.0.1" if self.dashboard_address in EVERY_INTERFACE else self.dashboard_address
        return f"http://{f'[{host}]' if ':' in host else host}:{self.dashboard_port}"

    @property
    def public_address(self) -> str:
        """Where people find it, without a slash at the end."""
        return self.public_url or self.dashboard_url

    @property
    def public_host(self) -> str:
        return urlsplit(self.public_address).hostname or ""

    @property
    def queue_address(self) -> str:
        """URL of the queue that several machines share; empty: a file in the state folder."""
        if not self.queue_url and self.database_url.startswith("postgresql"):
            return self.database_url
        return self.queue_url

    @property
    def store_url(self) -> str:
        return self.database_url or f"sqlite:///{self.paths.root / 'decant.db'}"


class StatePaths:
    """Where things are inside the state folder. Making one creates nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.desired = root / "desired"
        self.status = root / "status"
        self.envoy = root / "envoy"
        self.prometheus = root / "prometheus"
        self.mlflow = root / "mlflow"
        self.models = root / "models"
        self.uploads = root / "uploads"
        self.jobs = root / "jobs"
        self.bin = root / "bin"
        self.log = root / "log"
        self.supervisor = root / "supervisor"
        self.envoy_admin = root / "envoy" / "admin.sock"
        self.supervisor_socket = root / "supervisor" / "supervisor.sock"

    def create(self) -> StatePaths:
        for value in vars(self).values():
            if isinstance(value, Path) and not value.suffix:
                value.mkdir(parents=True, exist_ok=True)
        return self


_OWN_VARIABLES = {"DECANT_INSTANCE", "DECANT_PART"}
"""What Decant's own processes are known by: see services.runtime.tether."""


def unknown_variables() -> dict[str, str]:
    """Variables of the environment that begin with DECANT_ and set nothing, each with the nearest that would ("" if
    none is near)."""
    known = ["DECANT_" + name.upper() for name in Settings.model_fields]
    strange = (name for name in os.environ if name.startswith("DECANT_") and name not in _OWN_VARIABLES)
    unknown = sorted(name for name in strange if name.upper() not in known)
    return {name: next(iter(difflib.get_close_matches(name, known, n=1)), "") for name in unknown}


def load_settings(**overrides: object) -> Settings:
    """Read the environment. Raises InvalidInput naming each bad variable."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        found = []
        for problem in error.errors():
            names = [str(part) for part in problem["loc"]]
            label = f"DECANT_{names[0].upper()}: " if names else ""
            found.append(label + problem["msg"].removeprefix("Value error, "))
        raise InvalidInput(f"The settings are not usable: {'; '.join(found)}.", "See docs/settings.md.") from error
