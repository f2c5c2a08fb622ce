"""Experiments by the thousand against services/stats: the tests run a quick form, `make bench` the full one.

Every experiment goes through the functions that the pages use, vectorised over experiments. Every seed is fixed.
"""
