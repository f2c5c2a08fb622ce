"""Failures of the containers beside the model's: Seldon's own, side-cars, init containers of a mesh.

Neither the predictor's limits nor its start budget reach them, so none of these is mended by more memory or more time.
Seldon takes the resources of its own container from the predictor's `svcOrchSpec`, else from its operator's settings
(Helm: `executor.resources`; its documentation of the service orchestrator and the chart's values).
"""

from __future__ import annotations

from services.startup.known import Known, condition, event, state

_SELDON = "container seldon-container-engine"
_ANY = r"(?P<kind>(?:init )?container) (?P<container>[\w.-]+)"
_ENDED = r"(?:keeps ending|ended|was restarted .+ last after)"
_SELDONS_LIMITS = (
    "`svcOrchSpec.resources` of the predictor (`kubectl edit seldondeployment`), or for all "
    "{setting} of Seldon's operator"
)
_OWNER = "Decant neither makes nor sets it: tell whoever put it into the pods, such as those who run the service mesh."

BESIDE_MODEL: tuple[Known, ...] = (
    Known(
        "image-missing-beside",
        (
            state(rf"{_ANY}:? .*(?:ImagePullBackOff|ErrImagePull|InvalidImageName)"),
            event(r'Failed to pull image "(?P<image>[^"]+)".*(?:not found|manifest unknown|does not exist)'),
        ),
        "The image {image} of the {kind} {container} does not exist.",
        "Decant does not choose it: that of seldon-container-engine is a setting of Seldon's operator (Helm: "
        "executor.image), that of a side-car belongs to whoever puts it into the pods.",
    ),
    Known(
        "seldon-out-of-memory",
        (state(rf"{_SELDON} .*(?:OOMKilled|out of memory)"),),
        "Seldon's own container, seldon-container-engine, ran out of memory and was killed; the model was not.",
        "Decant sets the model's limit and not this one. It is in "
        + _SELDONS_LIMITS.format(setting="executor.resources.memoryLimit (EXECUTOR_DEFAULT_MEMORY_LIMIT)")
        + ".",
    ),
    Known(
        "seldon-killed",
        (
            event(r"Container seldon-container-engine failed (?:liveness|startup) probe"),
            state(rf"{_SELDON} .*(?:CrashLoopBackOff|restarted|exit code (?:137|143))"),
        ),
        "Seldon's own container, seldon-container-engine, did not answer its liveness probe and was killed.",
        "More time for the model does not help. Its log says what it waited for; where it has too little processor: "
        + _SELDONS_LIMITS.format(setting="executor.resources.cpuLimit (EXECUTOR_DEFAULT_CPU_LIMIT)")
        + ".",
    ),
    Known(
        "seldon-ended",
        (state(rf"{_SELDON} {_ENDED}:? (?P<why>.+)"),),
        "Seldon's own container, seldon-container-engine, ended: {why}.",
        "Its log says more. Its image and settings are those of Seldon's operator, or of the predictor's svcOrchSpec.",
    ),
    Known(
        "memory-beside",
        (state(rf"{_ANY} .*(?:OOMKilled|out of memory)"),),
        "The {kind} {container} ran out of memory and was killed; the model was not.",
        "The predictor's memory limit does not reach it. " + _OWNER,
    ),
    Known(
        "killed-beside",
        (
            event(r"Container (?P<container>[\w.-]+) failed (?:liveness|startup) probe"),
            state(rf"{_ANY} .*(?:CrashLoopBackOff|restarted|exit code (?:137|143))"),
        ),
        "The {kind} {container} did not answer its probe and was killed.",
        "More time for the model does not help. Its log says more. " + _OWNER,
    ),
    Known(
        "init-failed",
        (state(rf"^init container (?P<container>[\w.-]+) {_ENDED}:? (?P<why>.+)"),),
        "The init container {container} failed: {why}. The model is fetched only after it.",
        "It is not the model's download. " + _OWNER,
    ),
    Known(
        "ended-beside",
        (state(rf"^container (?P<container>[\w.-]+) {_ENDED}:? (?P<why>.+)"),),
        "The container {container} ended: {why}.",
        "The model's is another container. " + _OWNER,
    ),
    Known(
        "not-ready-beside",
        (
            state(r"^(?P<container>[\w.-]+(?: and [\w.-]+)*) (?:is|are) not ready yet; the model is"),
            condition(r"no progress for (?P<seconds>\d+) s"),
        ),
        "The model is ready and {container} is not, within the {seconds} s that the rollout may take.",
        "More time for the model does not help. Its log and the pod's events say what it waits for.",
    ),
    Known(
        "no-progress",
        (condition(r"no progress for (?P<seconds>\d+) s"),),
        "Its pods did not become ready within the {seconds} s that the rollout may take, though the model is up.",
        "The events of the pod and of its Deployment say what is missing.",
    ),
)
