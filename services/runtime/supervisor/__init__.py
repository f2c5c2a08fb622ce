"""Supervisord: the one parent of every process of the local engine."""
