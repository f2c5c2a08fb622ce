"""Failures of the model's own before its server runs: no image, no room for its files, no model to download."""

from __future__ import annotations

from services.startup.known import Known, event, log, state

FETCHING: tuple[Known, ...] = (
    Known(
        "image-missing",
        (
            state(r"(?:ImagePullBackOff|ErrImagePull|InvalidImageName)"),
            event(r'Failed to pull image "(?P<image>[^"]+)".*(?:not found|manifest unknown|does not exist)'),
        ),
        "The image {image} does not exist.",
        "Check the image in Seldon's ConfigMap `seldon-config` (predictor_servers), and the version that is installed.",
    ),
    Known(
        "disk-full",
        (log(r"No space left on device"),),
        "The disk is full where the model is unpacked or its environment is built.",
        "Free some space; on Kubernetes raise the ephemeral storage of the node or the limit of the pod.",
    ),
    Known(
        "store-unknown",
        (log(r'Failed to create file system for "(?P<uri>[^"]+)": didn\'t find section in config file'),),
        "The downloader does not know how to reach {uri}: no credentials were given to it.",
        "Name a secret for the predictor that configures this kind of store for rclone "
        "(RCLONE_CONFIG_S3_TYPE and so on).",
    ),
    Known(
        "download-refused",
        (
            log(
                r"(?:AccessDenied|SignatureDoesNotMatch|InvalidAccessKeyId|NoCredentialProviders|"
                r"status code: 403|StatusCode: 403|googleapi: Error 40[13])"
            ),
        ),
        "The model store refused the download.",
        "Check the keys in the predictor's secret, and that they may read and list the model's folder.",
    ),
    Known(
        "model-absent",
        (
            log(
                r"(?:directory not found|NoSuchBucket|NoSuchKey|There is no (?:model|"
                r"MLflow model) “(?P<uri>[^”]+)”|error reading source root directory)"
            ),
        ),
        "There is no model at the address that the deployment names.",
        "Check the model's address; it must be the folder that holds the MLmodel file.",
    ),
    Known(
        "store-unreachable",
        (
            log(
                r"(?:dial tcp[^:]*: lookup \S+.*no such host|dial tcp .*(?:i/o timeout|connection refused)|"
                r"(?:MLflow|The model store) does not answer|certificate signed by unknown authority)"
            ),
        ),
        "The model store or MLflow could not be reached.",
        "Check its address, network policies and certificates, from where the model server runs.",
    ),
    Known(
        "client-package",
        (log(r"cannot be fetched without the Python package (?P<package>[\w-]+)"),),
        "The model's store needs the Python package {package}, which is not installed where Decant runs.",
        "`pip install {package}` there, then wait: the model server is started again by itself.",
    ),
)
