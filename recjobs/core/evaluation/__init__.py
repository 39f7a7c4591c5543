"""What a model is worth: split, metrics, intervals, and the gate."""
