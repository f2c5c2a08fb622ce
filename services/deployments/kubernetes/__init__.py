"""The engine on Kubernetes: Seldon Core's operator does the work, the API server is the only thing spoken to."""
