"""Tests, a folder for each room. A package by name: another distribution brings a `tests`, too."""
