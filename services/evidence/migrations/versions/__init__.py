"""One file per revision. A revision never changes once it is released, and imports nothing of Decant."""
