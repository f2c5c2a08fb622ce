"""What a pod, or the template of a Deployment, was made for: which model, and which of Decant's wishes it holds. Pure.

Seldon's operator never says which wish its status is of, but it writes the wish into the templates of its Deployments.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from services.deployments.containers import budget_and_resources
from services.domain import Predictor, Resources
from services.domain.resources import quantity

Object = Mapping[str, Any]

_INITIALIZER = "-model-initializer"
_PARAMETERS = "PREDICTIVE_UNIT_PARAMETERS"
_MAX_NAME = 63
_TELLING = ("image", "command", "args", "env", "envFrom", "resources", "livenessProbe", "readinessProbe")
"""What of a container one template has otherwise than another; a webhook may add more to a pod."""
_QUANTITIES = ("cpu_request", "memory_request", "cpu_limit", "memory_limit")


def template_of(deployment: Object) -> Object:
    """What the pods of a Deployment are made from."""
    return (deployment.get("spec") or {}).get("template") or {}


def other_model(made: Object, wanted: Predictor) -> bool:
    """Whether a pod or a template says that it fetches something else than the wanted model.

    Seldon's init container has the place as its argument.
    """
    args = _initializer(made, wanted).get("args")
    if not args or not wanted.model_uri:
        return False
    return str(args[0]).rstrip("/") != _fetched_from(wanted.model_uri).rstrip("/")


def holds(template: Object, wanted: Predictor) -> bool:
    """Whether a template has what the predictor asks of it, besides the model: as far as both can be compared."""
    container = _container(template, wanted.node_name)
    if container is None:
        return True
    budget_s, resources = budget_and_resources({"componentSpecs": [template]}, wanted.node_name)
    secrets = [
        str((one.get("secretRef") or {}).get("name")) for one in _initializer(template, wanted).get("envFrom") or []
    ]
    return (
        budget_s == wanted.start_budget_s
        and _same(resources, wanted.resources)
        and (not wanted.env_secret or not secrets or wanted.env_secret in secrets)
        and _parameters_held(container, wanted)
    )


def of_template(pod: Object, template: Object) -> bool:
    """Whether a pod has every container of the template as it is there."""
    return all(
        (there := _container(pod, str(one.get("name")), kind)) is not None
        and all(there.get(key) == one.get(key) for key in _TELLING)
        for kind, one in _all_containers(template)
    )


def has_container(template: Object, name: str) -> bool:
    """Whether a container of the template has this name."""
    return _container(template, name) is not None


def _all_containers(made: Object) -> Iterator[tuple[str, Object]]:
    for kind in ("initContainers", "containers"):
        for one in (made.get("spec") or {}).get(kind) or []:
            yield kind, one


def _container(made: Object, name: str, kind: str = "containers") -> Object | None:
    return next((one for found, one in _all_containers(made) if (found, one.get("name")) == (kind, name)), None)


def _initializer(made: Object, wanted: Predictor) -> Object:
    name = f"{wanted.node_name}{_INITIALIZER}"[:_MAX_NAME].removesuffix("-")
    return _container(made, name, "initContainers") or {}


def _fetched_from(uri: str) -> str:
    """A volume claim is mounted, and the model copied from there."""
    if not uri.startswith("pvc://"):
        return uri
    return f"/mnt/pvc/{uri.removeprefix('pvc://').partition('/')[2]}"


def _same(one: Resources, other: Resources) -> bool:
    """`500m` is `0.5`: an operator writes the shorter."""
    return all(quantity(getattr(one, field)) == quantity(getattr(other, field)) for field in _QUANTITIES)


def _parameters_held(container: Object, wanted: Predictor) -> bool:
    """Whether the wanted parameters are among those that Seldon hands to the model's server in a variable."""
    told = next((one.get("value") for one in container.get("env") or [] if one.get("name") == _PARAMETERS), None)
    try:
        listed = json.loads(str(told)) if told else None
    except ValueError:
        return True
    if not isinstance(listed, Sequence):
        return True
    held = {(str(one.get("name")), str(one.get("value"))) for one in listed if isinstance(one, Mapping)}
    return {(one.name, one.value) for one in wanted.parameters} <= held
