"""Who may do what: API keys, operators who sign in, and how often one client may ask."""
