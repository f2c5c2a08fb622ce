"""Helpers for setting up: run by make, not by Decant."""
