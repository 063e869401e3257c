"""The check-up of a network while it trains."""
