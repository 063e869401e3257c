"""Runs side by side: tables, curves and a page."""
