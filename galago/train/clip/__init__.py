"""MobileCLIP2's training: a data set reinforced once by teachers, and students that learn from it."""
