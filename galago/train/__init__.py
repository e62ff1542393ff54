"""galago's trainer: PyTorch, an extra (`pip install 'galago[train]'`); the rest never imports it."""
