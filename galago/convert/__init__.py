"""A checkpoint in the form that runs: folded, quantised, checked against its source, kept."""
