"""Pure computing, by subject. No clock, no file, no network, no environment."""
