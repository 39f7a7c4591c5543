"""Self-contained HTML pages about a night, a comparison and a search, with their plots and templates."""
