"""Whether Seldon's MLflow server can make a model's environment and call the model. Pure.

The server builds the environment of the model's conda.yaml at each start and installs itself into it. What it brings is
read from its published packages (seldon-core on PyPI, the requirements of mlflowserver).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import yaml

from services.deployments.kubernetes.seldon import MAX_NAME, service_name
from services.deployments.pins import clashes, requirements, version
from services.domain import Deployment, Finding, Fix, ModelFacts, Predictor, Severity
from services.domain.resources import quantity

PYTHON_FLOOR = "3.12"
"""seldon-core 1.19 installs in no older Python (its Requires-Python)."""
SERVER_REQUIREMENTS: Mapping[str, str] = {
    "numpy": ">=1.26.4,<2.0.0",
    "mlflow": "==3.1.1",
    "pandas": ">=2.3.3",
    "protobuf": "==5.29.5",
    "pyyaml": ">=6.0.3",
    "requests": ">=2.32.5",
    "cryptography": ">=46.0.3",
    "click": ">=8.3.0",
    "flask": ">=3.1.2",
    "werkzeug": ">=3.1.4",
    "urllib3": ">=2.6.0",
    "grpcio": ">=1.76.0",
}
"""What seldon-core 1.19.0 and its MLflow server want in the model's environment."""
ENV_MAPPINGS_SINCE = "1.15"
SMALL_MEMORY = Decimal(2) * 1024**3
"""Bytes; solving and unpacking an environment with less is what gets the build killed."""
_SERVER_IMAGE = re.compile(r"mlflowserver:v?(?P<version>\d+\.\d+[\w.-]*)$")


def server_version(pods: Iterable[Mapping[str, Any]]) -> str:
    """The version of Seldon's MLflow server, by the image that pods of the cluster run; empty if none does."""
    for pod in pods:
        for container in (pod.get("spec") or {}).get("containers") or []:
            if found := _SERVER_IMAGE.search(str(container.get("image", ""))):
                return found["version"]
    return ""


def findings(deployment: Deployment, models: Mapping[str, ModelFacts], server: str) -> Iterator[Finding]:
    """Look at each predictor whose model is known.

    Args:
        models: facts by predictor name.
        server: version of Seldon's MLflow server; empty when it is not known.
    """
    yield from _names(deployment)
    for predictor in deployment.predictors:
        facts = models.get(predictor.name)
        if deployment.protocol == "seldon":
            yield from _columns(predictor, facts)
            if facts is not None:
                yield from _environment(predictor.name, facts, server)
            yield from _time_and_memory(predictor)


def _names(deployment: Deployment) -> Iterator[Finding]:
    nodes = [p.node_name for p in deployment.predictors]
    if len(set(nodes)) < len(nodes):
        yield Finding(
            Severity.WARNS,
            "names",
            "Arms share the name of their graph node, so an answer does not say which of them made it.",
            "Give each arm's node a name of its own.",
            fix=Fix.NODE_NAMES,
        )
    for predictor in deployment.predictors:
        long = f"{deployment.name}-{predictor.name}"
        if len(long) > MAX_NAME:
            yield Finding(
                Severity.WARNS,
                "names",
                f"{long} has {len(long)} characters and a Service's name has room for {MAX_NAME}: Seldon will call it "
                f"{service_name(deployment.name, predictor.name)}.",
                "Shorten the deployment's or the predictor's name.",
                predictor.name,
            )


def _columns(predictor: Predictor, facts: ModelFacts | None) -> Iterator[Finding]:
    given = any(p.name == "xtype" and p.value == "DataFrame" for p in predictor.parameters)
    if facts is not None and facts.named_columns and not given:
        yield Finding(
            Severity.BLOCKS,
            "columns",
            "It wants its columns by name, and without the parameter xtype Seldon hands it a bare array: every "
            "prediction would fail.",
            "Set the graph parameter xtype to DataFrame.",
            predictor.name,
            Fix.XTYPE,
        )


def _environment(name: str, facts: ModelFacts, server: str) -> Iterator[Finding]:
    known = version(server)
    if facts.conda is None:
        said = f"names {facts.env['conda']}, which is not there" if facts.env.get("conda") else "names no conda.yaml"
        yield Finding(
            Severity.BLOCKS,
            "environment",
            f"Its MLmodel file {said}: Seldon's MLflow server builds the model's environment from that file.",
            "Log the model again with MLflow's own environment files (its default).",
            name,
        )
        return
    since = version(ENV_MAPPINGS_SINCE)
    if facts.env_is_mapping and known is not None and since is not None and known < since:
        yield Finding(
            Severity.BLOCKS,
            "environment",
            f"Seldon's MLflow server {server} does not understand how MLflow 2 and later name the environment files.",
            f"Install Seldon Core {ENV_MAPPINGS_SINCE} or later.",
            name,
        )
    yield from _python(name, facts, server)
    wanted = requirements([*facts.requirements, *_pip_lines(facts.conda)])
    if _modern(server) and (found := clashes(wanted, SERVER_REQUIREMENTS)):
        listed = ", ".join(f"{package} {pin} (wants {rule})" for package, (pin, rule) in found.items())
        numpy = "numpy" in found
        yield Finding(
            Severity.WARNS,
            "environment",
            f"Its pins contradict those of Seldon's MLflow server: {listed}."
            + (" A model saved with numpy 2 does not load with numpy 1." if numpy else ""),
            "Train with versions that the server takes"
            + (" (numpy<2 above all)" if numpy else "")
            + ", or use a server image of your own.",
            name,
        )


def _python(name: str, facts: ModelFacts, server: str) -> Iterator[Finding]:
    python, floor = version(_conda_python(facts.conda or "") or facts.python_version), version(PYTHON_FLOOR)
    if python is None or floor is None or not _modern(server):
        return
    if python < floor:
        sure = bool(server)
        yield Finding(
            Severity.BLOCKS if sure else Severity.WARNS,
            "environment",
            f"Its environment has Python {python}, and Seldon's MLflow server "
            f"{server or '1.19'} installs only in {PYTHON_FLOOR} or newer.",
            f"Log the model with Python {PYTHON_FLOOR} or newer"
            + ("." if sure else "; Seldon Core up to 1.18 takes older ones."),
            name,
        )
    else:
        yield Finding(Severity.FINE, "environment", f"Python {python} suits Seldon's MLflow server.", predictor=name)


def _time_and_memory(predictor: Predictor) -> Iterator[Finding]:
    if predictor.start_budget_s is None:
        yield Finding(
            Severity.WARNS,
            "time",
            "Its environment is built at each start, which takes minutes; Seldon's own probes end it after about 75 s.",
            "Give it a start budget of 20 minutes.",
            predictor.name,
            Fix.START_BUDGET,
        )
    limit = quantity(predictor.resources.memory_limit) if predictor.resources.memory_limit else None
    if limit is not None and limit < SMALL_MEMORY:
        yield Finding(
            Severity.WARNS,
            "memory",
            f"Its memory limit of {predictor.resources.memory_limit} is little for building an environment.",
            "Allow at least 2Gi: builds are often killed for memory, with nothing in the log.",
            predictor.name,
        )


def _modern(server: str) -> bool:
    """Whether the table above speaks of this server; one that nobody knows is taken for the newest."""
    known, first = version(server), version("1.19")
    return known is None or first is None or known >= first


def _conda(text: str) -> list[Any]:
    try:
        parsed = yaml.safe_load(text)
    except yaml.YAMLError:
        return []
    found = parsed.get("dependencies") if isinstance(parsed, Mapping) else None
    return found if isinstance(found, list) else []


def _conda_python(text: str) -> str:
    for line in _conda(text):
        if isinstance(line, str) and (found := re.fullmatch(r"python\s*=+\s*([\d.]+)(?:=.*)?", line.strip())):
            return found[1]
    return ""


def _pip_lines(text: str) -> list[str]:
    return [str(line) for part in _conda(text) if isinstance(part, Mapping) for line in part.get("pip") or []]
