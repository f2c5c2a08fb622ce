"""Statistics of a test: pure functions on sufficient statistics and arrays. docs/statistics.md explains each number."""
