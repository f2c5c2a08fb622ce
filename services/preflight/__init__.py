"""What is looked at before a deployment is applied: the models, the pair, the names, and what the engine says."""
