"""Benchmarks that anyone can run: `make bench`. Each prints Decant beside a named peer, measured in the same run."""
