"""MobileCLIP2's training: a data set reinforced once by teachers, students that learn from it."""
