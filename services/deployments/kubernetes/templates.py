"""What a pod, or the template of a Deployment, was made for: which model, and which of Decant's wishes it holds. Pure.

Seldon's operator never says which wish its status is of, but it writes the wish into the templates of its Deployments.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from services.deployments.containers import budget_and_resources
from services.domain import Predictor, Resources
from services.domain.resources import quantity

Object = Mapping[str, Any]

_INITIALIZER = "-model-initializer"
_PARAMETERS = "PREDICTIVE_UNIT_PARAMETERS"
_MAX_NAME = 63
_TELLING = ("image", "command", "args")
_GROWING = ("env", "envFrom")
_PROBES = ("livenessProbe", "readinessProbe")
"""What of a container one template has otherwise than another. To the second a webhook adds; the third it rewrites."""
_QUANTITIES = {
    "cpu_request": "CPU request",
    "memory_request": "memory request",
    "cpu_limit": "CPU limit",
    "memory_limit": "memory limit",
}


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


def missing(template: Object, wanted: Predictor) -> list[str]:
    """What of the predictor a template does not hold, in words, besides the model: as far as both can be compared."""
    container = _container(template, wanted.node_name)
    if container is None:
        return []
    budget_s, resources = budget_and_resources({"componentSpecs": [template]}, wanted.node_name)
    secrets = [(one.get("secretRef") or {}).get("name") for one in _initializer(template, wanted).get("envFrom") or []]
    found = [] if budget_s == wanted.start_budget_s else ["the start budget"]
    found += [f"the {words}" for field, words in _QUANTITIES.items() if not _same(field, resources, wanted.resources)]
    if wanted.env_secret and wanted.env_secret not in secrets:
        found.append("the Secret")
    if not _parameters_held(container, wanted):
        found.append("the parameters")
    return found


def surplus(pod: Object, template: Object) -> int | None:
    """How much a pod has that its template has not, as a number to compare; None if it cannot be made from it.

    Kubernetes fills requests and limits into pods (a LimitRange, say); webhooks add variables and replace probes.
    """
    more = 0
    for kind, one in _all_containers(template):
        there = _container(pod, str(one.get("name")), kind)
        if there is None or any(there.get(key) != one.get(key) for key in _TELLING):
            return None
        for key in _GROWING:
            has, wants = there.get(key) or [], one.get(key) or []
            if any(entry not in has for entry in wants):
                return None
            more += len(has) - len(wants)
        has_quantities, wants_quantities = _listed(there), _listed(one)
        if not wants_quantities <= has_quantities:
            return None
        more += len(has_quantities) - len(wants_quantities)
        more += sum(there.get(key) != one.get(key) for key in _PROBES)
    return more


def _listed(container: Object) -> set[tuple[str, str, object]]:
    """Requests and limits of a container, one by one."""
    return {
        (kind, what, quantity(str(amount)) or str(amount))
        for kind in ("requests", "limits")
        for what, amount in ((container.get("resources") or {}).get(kind) or {}).items()
    }


def has_container(template: Object, name: str) -> bool:
    """Whether a container of the template has this name."""
    return _container(template, name) is not None


def _all_containers(made: Object) -> Iterator[tuple[str, Object]]:
    for kind in ("initContainers", "containers"):
        for one in (made.get("spec") or {}).get(kind) or []:
            yield kind, one


def _container(made: Object, name: str, kind: str = "containers") -> Object | None:
    return next((one for found, one in _all_containers(made) if (found, one.get("name")) == (kind, name)), None)


def initializer_name(container: str) -> str:
    """The init container that fetches the model of a container."""
    return f"{container}{_INITIALIZER}"[:_MAX_NAME].removesuffix("-")


def is_initializer(name: str, containers: Iterable[str] = ()) -> bool:
    """Whether an init container fetches a model. `containers`: those it may be for, where long names are cut."""
    return name.endswith(_INITIALIZER) or name in [initializer_name(one) for one in containers]


def _initializer(made: Object, wanted: Predictor) -> Object:
    return _container(made, initializer_name(wanted.node_name), "initContainers") or {}


def _fetched_from(uri: str) -> str:
    """A volume claim is mounted, and the model copied from there."""
    if not uri.startswith("pvc://"):
        return uri
    return f"/mnt/pvc/{uri.removeprefix('pvc://').partition('/')[2]}"


def _same(field: str, one: Resources, other: Resources) -> bool:
    """`500m` is `0.5`: an operator writes the shorter."""
    return quantity(getattr(one, field)) == quantity(getattr(other, field))


def _parameters_held(container: Object, wanted: Predictor) -> bool:
    """Whether the wanted parameters are among those that Seldon hands to the model's server, always in a variable."""
    if not wanted.parameters:
        return True
    told = next((one.get("value") for one in container.get("env") or [] if one.get("name") == _PARAMETERS), None)
    try:
        listed = json.loads(str(told)) if told else None
    except ValueError:
        return False
    if not isinstance(listed, Sequence):
        return False
    held = {(str(one.get("name")), str(one.get("value"))) for one in listed if isinstance(one, Mapping)}
    return {(one.name, one.value) for one in wanted.parameters} <= held
