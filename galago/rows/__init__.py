"""Somebody's own pictures, questions and answers, read row by row, whatever file they are in."""
