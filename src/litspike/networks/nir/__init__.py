"""Networks from files in NIR, the neuromorphic intermediate representation."""
