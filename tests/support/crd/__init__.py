"""What Seldon Core's own CRD accepts, as far as Decant uses it."""
