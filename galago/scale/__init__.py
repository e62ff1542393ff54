"""Past one album: vectors and captions of any number of pictures, as a table, on many machines."""
