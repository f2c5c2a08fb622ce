"""From evidence to a verdict: the rule of a test, what the evidence says under it, and how far to trust that."""
