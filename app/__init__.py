"""What a person touches: the browser dashboard and the command line, both over the same services."""
