"""The controller: a small operator that makes what runs equal to what is desired, one step at a time."""
