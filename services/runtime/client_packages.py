"""The packages with which MLflow reads buckets. Decant installs none of them, and says which one is missing."""

CLIENT_PACKAGES = {
    "google": "google-cloud-storage",
    "boto3": "boto3",
    "botocore": "boto3",
    "azure": "azure-storage-blob azure-identity",
}
"""By the module that MLflow misses."""
