"""Figures of notebooks 09 to 12."""
