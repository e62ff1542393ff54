"""What trains models, with PyTorch: an extra (`galago[train]`) that no other room imports."""
