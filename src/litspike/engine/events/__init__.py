"""Spikes as events, and products with them."""
