"""What a model was taught told from what it wasn't: measured, written beside its weights."""
