"""What a manifest that somebody wrote says and Decant would not send: never dropped without a word. Pure.

Decant reads a manifest into a deployment and writes it anew. Where it lies in a cluster already, what others wrote
stays beside it; so the file is compared with what there would be afterwards, not with what Decant alone would write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from services.deployments.containers import DEFAULTS
from services.deployments.manifest import STAMPS

_SERVER = {"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}
_READ: dict[str, set[str]] = {
    "": {"apiVersion", "kind", "status"},
    "metadata": {"name", "namespace", *_SERVER},
    "spec": {"name", "protocol"},  # Seldon takes the name of the object
    "predictor": {"name", "replicas", "shadow", "traffic"},
    "graph": {"children", "envSecretRefName", "implementation", "modelUri", "name", "parameters"},
}
"""What is read into a deployment, by where it stands, and what only the server writes."""
_IMPLIED = {"type": "MODEL", "endpoint": {"type": "REST"}}
"""What a graph node of an MLflow model is without being told."""

Fields = Iterator[str]


def unsent(written: Mapping[str, Any], sent: Mapping[str, Any]) -> tuple[str, ...]:
    """Paths of what the manifest `written` says and `sent`, the one there would be, does not."""
    return tuple(dict.fromkeys(_of_manifest(written, sent)))


def _of_manifest(written: Mapping[str, Any], sent: Mapping[str, Any]) -> Fields:
    for key, value in _rest(written, "").items():
        if key == "metadata":
            metadata = _rest(_mapping(value), "metadata")
            notes = {k: v for k, v in _mapping(metadata.pop("annotations", {})).items() if k not in STAMPS}
            there = _mapping(sent.get("metadata"))
            yield from _missing(metadata, there, "metadata")
            yield from _missing(notes, there.get("annotations"), "metadata.annotations")
        elif key == "spec":
            spec = _rest(_mapping(value), "spec")
            there = _mapping(sent.get("spec"))
            predictors = spec.pop("predictors", [])
            yield from _missing(spec, there, "spec")
            by_name = _named(there.get("predictors"))
            for predictor in predictors:
                name = str(predictor.get("name", ""))
                yield from _of_predictor(predictor, by_name.get(name, {}), f"spec.predictors[{name}]")
        else:
            yield from _missing(value, sent.get(key), key)


def _of_predictor(written: Mapping[str, Any], sent: Mapping[str, Any], at: str) -> Fields:
    rest = _rest(written, "predictor")
    graph = _rest(_mapping(rest.pop("graph", {})), "graph")
    graph = {key: value for key, value in graph.items() if _IMPLIED.get(key) != value}
    yield from _missing(graph, sent.get("graph"), f"{at}.graph")
    specs, there = rest.pop("componentSpecs", None) or [], sent.get("componentSpecs")
    sent_containers = {name: c for spec in _listed(there) for name, c in _containers(spec).items()}
    for index, spec in enumerate(specs):
        where, same = f"{at}.componentSpecs[{index}]", _mapping(_at(there, index))
        for name, container in _containers(spec).items():
            said = {key: value for key, value in container.items() if key != "name"}
            yield from _missing(said, sent_containers.get(name, {}), f"{where}.spec.containers[{name}]")
        pod = {key: value for key, value in _mapping(_mapping(spec).get("spec")).items() if key != "containers"}
        yield from _missing(pod, _mapping(same.get("spec")), f"{where}.spec")
        yield from _missing({key: value for key, value in _mapping(spec).items() if key != "spec"}, same, where)
    yield from _missing(rest, sent, at)


def _missing(written: object, sent: object, at: str) -> Fields:
    """The outermost paths under `at` that `sent` does not have, or has otherwise."""
    if not _says(written):
        return
    if isinstance(written, Mapping) and isinstance(sent, Mapping):
        for key, value in written.items():
            if (key, value) not in DEFAULTS:
                yield from _missing(value, sent.get(key), f"{at}.{key}")
    elif isinstance(written, list) and isinstance(sent, list):
        names = _named(sent)
        for index, value in enumerate(written):
            name = value.get("name") if isinstance(value, Mapping) else None
            yield from _missing(value, names.get(str(name)) if name else _at(sent, index), f"{at}[{name or index}]")
    elif isinstance(written, Mapping | list) or str(written) != str(sent):
        yield at


def _says(written: object) -> bool:
    """Whether anything is left out when this is left out."""
    if isinstance(written, Mapping):
        return any(_says(value) for key, value in written.items() if (key, value) not in DEFAULTS)
    if isinstance(written, list):
        return any(_says(value) for value in written)
    return written is not None


def _rest(written: Mapping[str, Any], where: str) -> dict[str, Any]:
    return {key: value for key, value in written.items() if key not in _READ[where]}


def _containers(spec: object) -> dict[str, Mapping[str, Any]]:
    return _named(_mapping(_mapping(spec).get("spec")).get("containers"))


def _named(listed: object) -> dict[str, Mapping[str, Any]]:
    return {str(one.get("name", "")): one for one in _listed(listed) if isinstance(one, Mapping)}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _at(listed: object, index: int) -> object:
    return listed[index] if isinstance(listed, list) and index < len(listed) else None
