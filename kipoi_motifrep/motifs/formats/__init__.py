"""Formats of motif files: one module a format, and the detection of which one a file is in."""
