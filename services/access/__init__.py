"""Who may do what: roles from a sign-in, services bound to one person, and where the dashboard may listen."""
