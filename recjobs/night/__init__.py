"""The night: its request, the files its steps hand over, its decision, and the runner."""
