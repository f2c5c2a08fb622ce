"""What would keep models from loading on this machine: its Python, its packages, its stores. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

from packaging.utils import canonicalize_name

from services.deployments.pins import pinned, requirements, version
from services.domain import Deployment, Finding, ModelFacts, Severity
from services.runtime.client_packages import BUCKET_PACKAGES

FLAVOUR_PACKAGES = {
    "sklearn": "scikit-learn",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "catboost": "catboost",
    "pytorch": "torch",
    "tensorflow": "tensorflow",
    "keras": "keras",
    "statsmodels": "statsmodels",
    "prophet": "prophet",
    "pmdarima": "pmdarima",
    "spacy": "spacy",
    "onnx": "onnx",
    "h2o": "h2o",
    "spark": "pyspark",
    "paddle": "paddlepaddle",
    "transformers": "transformers",
    "sentence_transformers": "sentence-transformers",
}
"""The package without which MLflow cannot load a flavour."""
PICKY = {"scikit-learn", "numpy", "pandas", "xgboost", "lightgbm", "torch", "tensorflow", "cloudpickle"}
"""Packages whose pickles depend on the minor or major version."""
_BY_MAJOR = {"numpy", "pandas", "torch", "cloudpickle"}

Installed = Callable[[str], str | None]
"""The version of a distribution that is installed, or None."""


def findings(
    deployment: Deployment, models: Mapping[str, ModelFacts], python: str, installed: Installed
) -> Iterator[Finding]:
    """Look at each predictor whose model is known.

    Args:
        models: facts by predictor name.
        python: version of the interpreter that runs the model servers, such as 3.11.7.
    """
    for predictor in deployment.predictors:
        yield from _place(predictor.name, predictor.model_uri, installed)
        if facts := models.get(predictor.name):
            yield from _python(predictor.name, facts, python)
            yield from _packages(predictor.name, facts, installed)


def _place(name: str, uri: str, installed: Installed) -> Iterator[Finding]:
    scheme = urlsplit(uri).scheme
    if scheme == "pvc":
        yield Finding(
            Severity.BLOCKS,
            "place",
            "Its model lies on a volume of a cluster, which this machine cannot read.",
            "Choose the model by its run or its registered version instead.",
            name,
        )
    elif (needed := BUCKET_PACKAGES.get(scheme)) and installed(client := needed[0]) is None:
        yield Finding(
            Severity.BLOCKS,
            "place",
            f"Fetching from {scheme}:// needs the Python package {client}, which is not installed where Decant runs.",
            f"pip install {' '.join(needed)}, or choose the model by its run or its registered version.",
            name,
        )


def _python(name: str, facts: ModelFacts, python: str) -> Iterator[Finding]:
    saved, here = _minor(facts.python_version), _minor(python)
    if not saved:
        return
    if saved == here:
        yield Finding(Severity.FINE, "environment", f"Python {here}, as when it was saved.", predictor=name)
        return
    pickled = set(facts.flavors) == {"python_function"}
    risk = "its pickled code often does not load in another" if pickled else "it may still load"
    yield Finding(
        Severity.WARNS,
        "environment",
        f"It was saved by Python {saved} and the model servers run {here}: {risk}.",
        f"Log it again with Python {here}, or run Decant with Python {saved}.",
        name,
    )


def _packages(name: str, facts: ModelFacts, installed: Installed) -> Iterator[Finding]:
    wanted = requirements(facts.requirements)
    needed = {FLAVOUR_PACKAGES[f] for f in facts.flavors if f in FLAVOUR_PACKAGES}
    missing = [p for p in sorted({*wanted, *map(canonicalize_name, needed)}) if installed(p) is None]
    if sure := [p for p in missing if p in {canonicalize_name(n) for n in needed}]:
        yield Finding(
            Severity.BLOCKS,
            "environment",
            f"{_and(sure)} {_is(sure)} not installed where the model servers run.",
            f"pip install {_pip(sure, wanted)} there.",
            name,
        )
    if perhaps := [p for p in missing if p not in sure]:
        yield Finding(
            Severity.WARNS,
            "environment",
            f"{_and(perhaps)} {_is(perhaps)} among its requirements and not installed where the model servers run.",
            f"pip install {_pip(perhaps, wanted)} there, if the model uses {'it' if len(perhaps) == 1 else 'them'}.",
            name,
        )
    other = []
    for package in sorted(PICKY & wanted.keys()):
        pin, there = pinned(wanted[package]), version(installed(package) or "")
        if pin is None or there is None:
            continue
        parts = 1 if package in _BY_MAJOR else 2
        if pin.release[:parts] != there.release[:parts]:
            other.append(f"{package} {pin} (here {there})")
    if other:
        yield Finding(
            Severity.WARNS,
            "environment",
            f"It was saved with {_and(other)}: it may not load, or predict differently.",
            "Log it again with what is installed here, or install its versions where Decant runs.",
            name,
        )
    elif wanted and not missing:
        yield Finding(Severity.FINE, "environment", "Its packages are installed.", predictor=name)


def _minor(text: str) -> str:
    return ".".join(text.split(".")[:2])


def _pip(packages: list[str], wanted: Mapping[str, object]) -> str:
    return " ".join(f"'{p}{wanted[p]}'" if str(wanted.get(p, "")) else p for p in packages)


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _is(words: list[str]) -> str:
    return "is" if len(words) == 1 else "are"
