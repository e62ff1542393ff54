"""Published files -> a spec and named tensors, read without running anything in them."""
