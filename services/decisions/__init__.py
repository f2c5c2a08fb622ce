"""What follows from a verdict: the deployment, MLflow and the history say the same, whatever is killed on the way."""
