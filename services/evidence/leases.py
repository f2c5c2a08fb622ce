"""Who works on what, where several machines share a database: a name is held by one process at a time, while it lives.

A lease ends by itself some seconds after its holder was last heard of, so a machine that is gone keeps nothing for
ever. A process that could not renew its lease in time must take it for lost and stop (`holds`). On SQLite there is one
machine, where locks of files do this, so every lease is granted and nothing is written.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.errors import Unavailable
from services.evidence.door import connect
from services.evidence.schema import leases

log = logging.getLogger(__name__)

TTL_S = 20.0
RENEWALS = 4
"""How often a lease is renewed within its time."""

# The database's clock: those of several machines differ.
_NOW = sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Float)


class Leases:
    """The leases of one process. Thread-safe; a second taking by the same process is granted."""

    def __init__(self, database: sa.Engine, ttl_s: float = TTL_S) -> None:
        self._database, self._ttl_s = database, ttl_s
        self.shared = database.dialect.name != "sqlite"
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._lock = threading.Lock()
        self._held: dict[str, float] = {}
        self._renewing = False

    def take(self, name: str) -> bool:
        """Hold `name` from now on, unless another process does. Raises Unavailable."""
        if not self.shared:
            return True
        started = time.monotonic()
        wanted = insert(leases).values(name=name, holder=self.holder, until=_NOW + self._ttl_s)
        free = (leases.c.until < _NOW) | (leases.c.holder == self.holder)
        taking = wanted.on_conflict_do_update(
            index_elements=[leases.c.name], set_={"holder": self.holder, "until": _NOW + self._ttl_s}, where=free
        )
        with connect(self._database) as connection:
            taken = connection.execute(taking.returning(leases.c.name)).first() is not None
        if taken:
            with self._lock:
                self._held[name] = started + self._ttl_s
                if not self._renewing:
                    threading.Thread(target=self._renew, name="leases", daemon=True).start()
                    self._renewing = True
        return taken

    def holds(self, name: str) -> bool:
        """Whether this process may still act as the holder of what it took."""
        with self._lock:
            return not self.shared or self._held.get(name, 0.0) > time.monotonic()

    def release(self, name: str) -> None:
        """Let others have it at once. Where the database does not answer, they get it when the lease ends."""
        with self._lock:
            if self._held.pop(name, None) is None:
                return
        mine = (leases.c.name == name) & (leases.c.holder == self.holder)
        try:
            with connect(self._database) as connection:
                connection.execute(sa.delete(leases).where(mine))
        except Unavailable as error:
            log.warning("the lease of %s runs out by itself: %s", name, error)

    def holders(self, prefix: str) -> dict[str, str]:
        """Who holds what begins with `prefix`, by name; empty on SQLite. Raises Unavailable."""
        if not self.shared:
            return {}
        live = sa.select(leases.c.name, leases.c.holder).where(
            leases.c.name.startswith(prefix, autoescape=True) & (leases.c.until >= _NOW)
        )
        with connect(self._database) as connection:
            return {str(name): str(holder) for name, holder in connection.execute(live)}

    def _renew(self) -> None:
        while True:
            time.sleep(self._ttl_s / RENEWALS)
            with self._lock:
                names = list(self._held)
                if not names:
                    self._renewing = False
                    return
            try:
                self._renew_once(names)
            except Unavailable as error:
                log.warning("leases could not be renewed: %s", error)
            except Exception:  # the last line of defence: if this thread ended, every lease would be lost for ever
                log.exception("leases could not be renewed; it is tried again")

    def _renew_once(self, names: list[str]) -> None:
        started = time.monotonic()
        mine = leases.c.name.in_(names) & (leases.c.holder == self.holder)
        renewal = sa.update(leases).where(mine).values(until=_NOW + self._ttl_s).returning(leases.c.name)
        with connect(self._database) as connection:
            renewed = set(connection.execute(renewal).scalars())
        with self._lock:
            for name in names:
                if name in renewed and name in self._held:
                    self._held[name] = started + self._ttl_s
                elif self._held.pop(name, None) is not None:
                    log.warning("the lease of %s was lost to another process", name)
