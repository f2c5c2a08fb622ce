"""The packages with which MLflow reads buckets: boto3 comes with Decant, of the others it says which one is missing."""

CLIENT_PACKAGES = {
    "google": "google-cloud-storage",
    "azure": "azure-storage-blob azure-identity",
}
"""By the module that MLflow misses."""
