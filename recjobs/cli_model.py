"""The verbs about models: search for a recipe, and hold recipes against each other."""
