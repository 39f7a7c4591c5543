"""The steps of a night: each loads, computes and saves; none imports another."""
