"""Speed and memory at the published shapes, beside peers, in one run: `make bench`."""
