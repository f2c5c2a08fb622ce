"""The only door to MLflow: runs, experiments, registered models, and what a model wants for input."""

from services.tracking.models import ModelCatalogue, ModelRef
from services.tracking.runs import Experiment, RegisteredVersion, Run, RunCatalogue, RunPage

__all__ = ["Experiment", "ModelCatalogue", "ModelRef", "RegisteredVersion", "Run", "RunCatalogue", "RunPage"]
