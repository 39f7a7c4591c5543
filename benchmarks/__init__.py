"""The figures that are quoted, each one command, each as a ratio to a floor or a peer in the same run."""
