"""Networks that run: the only room that knows OpenVINO."""
