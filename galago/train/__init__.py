"""What trains models, with PyTorch: an extra (`train`) that no other room imports."""
