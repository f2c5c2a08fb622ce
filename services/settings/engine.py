"""Settings of the engine: what runs the deployments, and where models are published for it."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field, field_validator

from services.domain import MAX_START_BUDGET_S, check_name
from services.domain.places import StorePlace
from services.errors import InvalidInput, InvalidName
from services.settings.base import Group, listed

EngineKind = Literal["local", "kubernetes"]
IngressKind = Literal["ambassador", "istio", "none"]
DEFAULT_NAMESPACE = "seldon"


class EngineSettings(Group):
    """This machine, or Seldon Core in a cluster."""

    engine: EngineKind = Field(
        "local", description="What runs the deployments: this machine, or Seldon Core in a Kubernetes cluster."
    )
    kubeconfig: str = Field(
        "",
        description="Path of the kubeconfig that leads to the cluster. Empty: `KUBECONFIG`, `~/.kube/config`, or in a "
        "pod its own service account.",
    )
    kube_context: str = Field("", description="Context of the kubeconfig. Empty: its current one.")
    cluster_name: str = Field(
        "",
        description="Which cluster this is, where several share one database: the same for every Decant before it, and "
        "another one for each cluster. Empty: the id of its namespace kube-system, or its address if Decant may not "
        "read that.",
    )
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

    @field_validator("namespaces")
    @classmethod
    def _namespaces_are_names(cls, text: str) -> str:
        for name in listed(text):
            try:
                check_name("namespace", name)
            except InvalidName as error:
                raise ValueError(error.sentence) from error
        return text

    @field_validator("model_store")
    @classmethod
    def _model_store_is_a_place(cls, text: str) -> str:
        try:
            if text:
                StorePlace.parse(text)
        except InvalidInput as error:
            raise ValueError(str(error)) from error
        return text

    @property
    def runs_locally(self) -> bool:
        """Whether this machine serves the models: gateway, controller and model servers are Decant's own."""
        return self.engine == "local"

    @property
    def allowed_namespaces(self) -> tuple[str, ...]:
        """Those of the cluster that may be used; empty: all, or there is no cluster."""
        return () if self.runs_locally else tuple(listed(self.namespaces))

    @property
    def default_namespace(self) -> str:
        """Where a deployment goes for which nobody names a namespace."""
        return next(iter(self.allowed_namespaces), DEFAULT_NAMESPACE)
