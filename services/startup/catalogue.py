"""The failures that are known, in the order in which they are looked for.

A cause stands before the symptoms it leads to: a model that cannot be unpickled is found before the crash loop that it
makes. Signs are in the words of those who print them: pip, conda, rclone, Python, Kubernetes, Decant's model server.
"""

from __future__ import annotations

from services.startup.beside import BESIDE_MODEL
from services.startup.building import BUILDING
from services.startup.fetching import FETCHING
from services.startup.known import Known
from services.startup.loading import LOADING
from services.startup.places import PLACES
from services.startup.symptoms import OPERATOR, SYMPTOMS

CATALOGUE: tuple[Known, ...] = (*FETCHING, *PLACES, *BUILDING, *LOADING, *SYMPTOMS)
"""For the model's containers, and for pods as a whole."""
BESIDE: tuple[Known, ...] = (*BESIDE_MODEL, *PLACES, OPERATOR)
"""For the containers beside it, which the model's settings do not reach: Seldon's own, side-cars, init containers."""
