"""Numbers about live traffic, read from Prometheus: query texts, the one client, exact counter arithmetic."""
