"""Failures while the environment is built, by what pip and conda say, by the probes, by memory."""

from __future__ import annotations

from services.startup.known import Known, event, log, state

_BUILDING = (
    r"Solving environment|Creating Conda environment|Collecting package metadata|Installing pip dependencies|"
    r"Downloading and Extracting|^Collecting \S+|Preparing transaction|Executing transaction|Using cached|Downloading "
)
KILLED_BY_PROBE = r"failed (?:liveness|startup) probe, will be restarted|(?:Liveness|Startup) probe failed"

BUILDING: tuple[Known, ...] = (
    Known(
        "python-absent",
        (
            log(r"^\s*-?\s*(?:nothing provides )?python\s?=+(?P<python>[\d.*]+)"),
            log(r"ResolvePackageNotFound|PackagesNotFoundError|LibMambaUnsatisfiableError|UnsatisfiableError"),
        ),
        "Conda has no Python {python} on the channels of the model's conda.yaml.",
        "Save the model with a Python that conda-forge offers, or write python=<major>.<minor> in its conda.yaml.",
    ),
    Known(
        "conda-absent",
        (log(r"ResolvePackageNotFound|PackagesNotFoundError|LibMambaUnsatisfiableError|UnsatisfiableError"),),
        "Conda cannot make the model's environment: a pinned package is not on its channels, or pins "
        "contradict each other.",
        "Look at the lines below it in the log, and loosen or correct those pins in the model's conda.yaml.",
    ),
    Known(
        "python-too-old",
        (
            log(
                r"Package '?(?P<package>[\w-]+)'? requires a different Python: (?P<python>[\d.]+) not in "
                r"'(?P<wanted>[^']+)'"
            ),
        ),
        "{package} does not work with the model's Python {python}: it wants {wanted}.",
        "Train and log the model with such a Python (Seldon Core 1.19 wants 3.12 or newer), or use an "
        "older Seldon Core.",
    ),
    Known(
        "pin-absent",
        (
            log(
                r"(?:Could not find a version that satisfies the requirement|"
                r"No matching distribution found for) (?P<pin>[^\s(]+)"
            ),
        ),
        "pip finds no {pin} for the model's environment.",
        "Correct the pin in the model's requirements; a package of your own needs an index that the cluster can reach.",
    ),
    Known(
        "pins-clash",
        (log(r"(?:ResolutionImpossible|conflicting dependencies|Cannot install (?P<pins>.+?) because)"),),
        "The model's pins contradict those of the model server.",
        "Loosen the model's pins; Seldon's server brings its own mlflow, numpy, protobuf and Flask.",
    ),
    Known(
        "no-conda",
        (log(r"(?:No such file or directory|KeyError): '?.*(?:conda\.yaml|'env')"),),
        "The model has no conda.yaml, from which Seldon's MLflow server builds its environment.",
        "Log the model again with MLflow's conda environment (its default), so that conda.yaml lies beside MLmodel.",
    ),
    Known(
        "env-shape",
        (log(r"TypeError: (?:join\(\) argument|expected str, bytes or os\.PathLike object|unhashable).*dict"),),
        "This version of Seldon's MLflow server does not understand how MLflow 2 and later name the environment files.",
        "Use Seldon Core 1.15 or later, or set `env: conda.yaml` in the model's MLmodel file.",
    ),
    Known(
        "out-of-memory",
        (state(r"OOMKilled|out of memory"),),
        "It ran out of memory and was killed.",
        "Give the predictor a larger memory limit: building an environment often needs more than the model itself.",
    ),
    Known(
        "killed",
        (state(r"ended without a word"),),
        "The process ended without a word: killed, as the kernel does when memory runs out, or crashed in a library.",
        "Give it more memory, or run fewer replicas and models beside it; `dmesg` says if it was that.",
    ),
    Known(
        "out-of-memory",
        (log(r"^Killed$|MemoryError|Cannot allocate memory|bad_alloc"),),
        "It ran out of memory.",
        "Give it more memory, or run fewer replicas and models beside it.",
    ),
    Known(
        "probe-during-build",
        (event(KILLED_BY_PROBE), log(_BUILDING), state(r"CrashLoopBackOff|restarted|exit code (?:137|143)")),
        "It was killed while it still built the model's environment: the liveness probe does not wait that long.",
        "Give it more time to start. The build begins anew after each kill, so waiting alone does not help.",
        needs_time=True,
    ),
)
