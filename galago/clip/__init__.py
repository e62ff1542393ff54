"""MobileCLIP: pictures and words as unit vectors of one space."""
