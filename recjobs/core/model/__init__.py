"""Models: the ALS engine, item neighbours, attributes, and how a model is stored."""
