"""The trainer: PyTorch, an extra (`pip install 'galago[train]'`), the rest doesn't import it."""
