"""Models for other programs: ONNX; each export proves that it says the same, or is refused."""
