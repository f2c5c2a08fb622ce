"""The packages with which MLflow reads buckets: boto3 comes with Decant, of the others it says which one is missing."""

BUCKET_PACKAGES = {
    "s3": ("boto3",),
    "gs": ("google-cloud-storage",),
    "wasbs": ("azure-storage-blob", "azure-identity"),
}
"""By the scheme of the address. Nothing is read without the first; some ways of signing in need the others."""

CLIENT_PACKAGES = {"google": " ".join(BUCKET_PACKAGES["gs"]), "azure": " ".join(BUCKET_PACKAGES["wasbs"])}
"""The same, as pip wants them, by the module that MLflow misses."""
