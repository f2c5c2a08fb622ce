"""Models where Seldon can read them: which URIs those are, the store they are copied to, and the copying itself."""
