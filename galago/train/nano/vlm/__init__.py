"""How fastvlm-nano is trained, measured and published."""
