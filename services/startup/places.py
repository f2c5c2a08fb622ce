"""Failures before a container runs, of whichever container of the pod: no room, no node, no image, no secret."""

from __future__ import annotations

from services.startup.known import Known, event, refusal, state

_ABSENT = r'(?P<kind>secret|configmap) "(?P<name>[^"]+)" not found'
_MISSING = (
    state(rf"CreateContainerConfigError: {_ABSENT}"),
    event(rf"MountVolume\.SetUp failed.*{_ABSENT}"),
)

PLACES: tuple[Known, ...] = (
    Known(
        "quota",
        (
            refusal(
                r"exceeded quota: (?P<quota>[^,]+), requested: (?P<asked>.+?), used: (?P<used>.+?), limited: "
                r"(?P<limit>[^()]+?)(?: \(\d+ times\))?$"
            ),
        ),
        "The namespace's quota “{quota}” leaves no room: asked for {asked}, in use {used}, allowed {limit}.",
        "Ask for less (resources, replicas), delete what is not needed, or have the quota raised.",
    ),
    Known(
        "quota-needs-resources",
        (refusal(r"failed quota: (?P<quota>[^:]+): must specify (?P<fields>[^()]+?)(?: \(\d+ times\))?$"),),
        "The namespace's quota “{quota}” takes only pods that say what they need: {fields} is missing.",
        "Set CPU and memory (requests and limits) for this predictor.",
    ),
    Known(
        "missing-account",
        (refusal(r"pods .+ is forbidden: error looking up service account [^/]+/(?P<account>[^:]+): .+ not found"),),
        "The service account “{account}” that the pod runs as does not exist in this namespace.",
        "Create it, or have the deployment run as one that is there; the pods are made by themselves then.",
    ),
    Known(
        "webhook-refuses",
        (refusal(r'admission webhook "(?P<hook>[^"]+)" denied the request: (?P<why>.+?)(?: \(\d+ times\))?$'),),
        "A rule of the cluster ({hook}) refuses the pod: {why}",
        "Ask whoever runs the cluster for an exception, or change the deployment to fit the rule.",
    ),
    Known(
        "webhook-down",
        (refusal(r'failed calling webhook "(?P<hook>[^"]+)"'),),
        "The webhook {hook}, which the cluster asks about each new pod, does not answer, so none is made.",
        "Tell whoever runs the cluster; the pods are made by themselves once it answers.",
    ),
    Known(
        "forbidden-pod",
        (refusal(r"pods .+ is forbidden: (?P<why>.+?)(?: \(\d+ times\))?$"),),
        "The cluster does not let the operator create the pod: {why}.",
        "Ask whoever runs the cluster for an exception, or change the deployment to fit the rule.",
    ),
    Known(
        "invalid-pod",
        (refusal(r'pod "[^"]+" is invalid: (?P<why>.+?)(?: \(\d+ times\))?$'),),
        "The cluster takes no pod that is made like this: {why}.",
        "Correct what it names. A request above the limit may come from the namespace's LimitRange, which fills in "
        "whichever of the two is not given: give both.",
    ),
    Known(
        "invalid-deployment",
        (refusal(r'deployment\.apps "[^"]+" is invalid: (?P<why>.+?)(?: \(\d+ times\))?$'),),
        "The cluster takes no Deployment as Seldon's operator makes it from this: {why}.",
        "Correct what it names (a request must not be above its limit) and apply it again.",
    ),
    Known(
        "missing-volume",
        (event(r'persistentvolumeclaim "(?P<claim>[^"]+)" not found'),),
        "The volume claim “{claim}” that holds the model does not exist in this namespace.",
        "Create the claim, or publish the model to a store that the namespace can read.",
    ),
    Known(
        "unschedulable",
        (state(r"cannot be scheduled: (?P<why>.+)"),),
        "No node takes the pod: {why}",
        "Ask for less CPU or memory, free some, or let the cluster add a node; taints and selectors need its owner.",
    ),
    Known(
        "image-denied",
        (
            state(r"(?:ImagePullBackOff|ErrImagePull)"),
            event(r'Failed to pull image "(?P<image>[^"]+)".*(?:denied|unauthorized|authentication required|403)'),
        ),
        "The registry does not hand out the image {image}.",
        "Give the namespace's service account an image pull secret for that registry.",
    ),
    Known(
        "image-limit",
        (event(r'Failed to pull image "(?P<image>[^"]+)".*(?:toomanyrequests|pull rate limit)'),),
        "The registry's pull limit is used up, so the image {image} was not fetched.",
        "Wait (Docker Hub counts six hours), sign in to the registry with a pull secret, or use a mirror.",
    ),
    Known(
        "image-pull",
        (state(r"(?:ImagePullBackOff|ErrImagePull|InvalidImageName)(?:: (?P<why>.+))?"),),
        "The image cannot be pulled: {why}",
        "Check that the node reaches the registry and that the image's name is right.",
    ),
    *(
        Known(
            "missing-secret",
            (sign,),
            "The secret “{name}”, which opens the model's store, does not exist in this namespace.",
            "Create it with the store's credentials (rclone's variables), or name another as the predictor's secret.",
            opens_store=True,
        )
        for sign in _MISSING
    ),
    *(
        Known(
            "missing-object",
            (sign,),
            "The {kind} “{name}”, which the pod wants, does not exist in this namespace.",
            "Create it, or take it out of what wants it: the deployment, or what puts it into the pods (a webhook, "
            "a side-car's injection). It is not the Secret by which the model is fetched. The container starts by "
            "itself then.",
        )
        for sign in _MISSING
    ),
    Known(
        "missing-key",
        (
            state(
                r"CreateContainerConfigError: couldn't find key (?P<key>\S+) in (?P<kind>secret|configmap) "
                r"(?:[^/\s]+/)?(?P<name>\S+)"
            ),
        ),
        "The {kind} “{name}” has no key “{key}”, which a container wants.",
        "Add the key, or correct its name where it is wanted; the container starts by itself then.",
    ),
    Known(
        "runs-as-root",
        (
            state(
                r"container (?P<container>[\w.-]+):? .*CreateContainerConfigError: "
                r"(?P<why>.*(?:runAsNonRoot|non-root)[^(]*[^(\s])"
            ),
        ),
        "The container {container} must not run as root, and nothing says that it does not: {why}.",
        "Give it a user by number: runAsUser in a securityContext (Seldon's operator does it for all pods by its Helm "
        "value defaultUserID, 8888 unless changed), or an image whose USER is a number other than 0; or ask whoever "
        "set runAsNonRoot, in the deployment or by a rule of the cluster.",
    ),
    Known(
        "no-program",
        (
            state(
                r"container (?P<container>[\w.-]+):? .*exec: \"?(?P<program>[^\s\":]+)\"?: "
                r".*(?:not found|no such file)"
            ),
            state(r"RunContainerError|CreateContainerError|StartError"),
        ),
        "The image of the container {container} has no program “{program}”, with which it is to be started.",
        "Check image and command: Seldon's images bring theirs, and an image of your own has to be made for Seldon.",
    ),
    Known(
        "config-refused",
        (state(r"CreateContainerConfigError: (?P<why>.+)"),),
        "A container cannot be configured: {why}.",
        "Correct what it names, in the deployment or in what else changes its pods; the container starts "
        "by itself then.",
    ),
    Known(
        "node-lost",
        (state(r"^its node does not answer: (?P<why>.+)"),),
        "The node that the pod was put on does not answer: {why}.",
        "`kubectl get nodes` says which are ready. Kubernetes makes another pod once it gives the node up, after five "
        "minutes unless set otherwise; a node that does not come back has to be taken away by its owner.",
    ),
    Known(
        "node-out-of-memory",
        (state(r"low on resource: memory|MemoryPressure"),),
        "The node ran out of memory and put the pod out.",
        "Give the predictor a memory request of what it uses, since pods that use more than they ask for go "
        "first; or free some on the node.",
    ),
    Known(
        "disk-full",
        (state(r"ephemeral[- ](?:local )?storage|low on resource: (?:nodefs|imagefs|inodes)|DiskPressure"),),
        "The node ran out of disk, or the pod used more than it may, and was put out.",
        "Free some space on the node, or raise the pod's ephemeral storage.",
    ),
    Known(
        "put-out",
        (
            state(
                r"^(?:Evicted|Preempting|NodeShutdown|Shutdown|Terminated|OutOf\w+|NodeAffinity|UnexpectedAdmissionError)"
                r": (?P<why>.+)"
            ),
        ),
        "The node put the pod out, or did not take it: {why}",
        "Kubernetes makes another pod, on another node where there is room. Where that does not last, tell whoever "
        "runs the cluster.",
    ),
)
