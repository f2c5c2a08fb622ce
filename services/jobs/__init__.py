"""Background work: trainings and replays, which outlive the page or command that asked for them."""
