"""Who may do what: the names of the web app, API keys, operators who sign in, and how often one client may ask."""
