"""The steps of a night: `begin`, then the eleven; each loads, computes and saves, and none knows another."""
