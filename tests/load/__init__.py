"""Load and faults on a real `galago serve`, with figures: `make load`."""
