"""The night as its steps see it: its request, what steps hand over, its verdict, and the runner."""
