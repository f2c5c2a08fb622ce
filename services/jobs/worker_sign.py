"""How a worker shows other machines that it lives; apart from the worker, which starts from the composition root."""

WORKER_LEASE = "worker:"
"""How the name of its lease begins; its holder's name follows."""
