"""Decant's nouns as frozen values: validated when made, without I/O.

The words are the field's own: a deployment is one SeldonDeployment, a predictor one arm of it, traffic its share
in integer percent. See docs/architecture.md for the glossary.
"""

from services.domain.arm_option import ArmOption
from services.domain.deployment import (
    MAX_REPLICAS,
    MAX_START_BUDGET_S,
    PROTOCOLS,
    Deployment,
    Parameter,
    Predictor,
    Provenance,
    Split,
    check_name,
)
from services.domain.endpoint import SELDON, V2, Arm, Endpoint, ProxiedService, Relay, Relayed
from services.domain.evidence import (
    LATENCY_EDGES_MS,
    PAIRED,
    PINNED,
    Change,
    ChangeNote,
    Outcome,
    OutcomeStatus,
    Prediction,
    plain_reason,
)
from services.domain.findings import RIGHTS, Finding, Fix, ModelFacts, Severity
from services.domain.person import Person, Role
from services.domain.resources import Resources
from services.domain.startup import Diagnosis, Startup, StartupStep, Step, StepState
from services.domain.status import DeploymentStatus, Event, Phase, PredictorStatus

__all__ = [
    "LATENCY_EDGES_MS",
    "MAX_REPLICAS",
    "MAX_START_BUDGET_S",
    "PAIRED",
    "PINNED",
    "PROTOCOLS",
    "RIGHTS",
    "SELDON",
    "V2",
    "Arm",
    "ArmOption",
    "Change",
    "ChangeNote",
    "Deployment",
    "DeploymentStatus",
    "Diagnosis",
    "Endpoint",
    "Event",
    "Finding",
    "Fix",
    "ModelFacts",
    "Outcome",
    "OutcomeStatus",
    "Parameter",
    "Person",
    "Phase",
    "Prediction",
    "Predictor",
    "PredictorStatus",
    "Provenance",
    "ProxiedService",
    "Relay",
    "Relayed",
    "Resources",
    "Role",
    "Severity",
    "Split",
    "Startup",
    "StartupStep",
    "Step",
    "StepState",
    "check_name",
    "plain_reason",
]
