"""How mobileclip2-nano is trained, measured and published."""
