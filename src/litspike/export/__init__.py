"""A trained network leaves: written in a format, run by that format's own reader, and compared with itself."""
