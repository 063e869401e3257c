"""Export to C in integers: one description of every operation, a printer to C and a twin in torch which read it."""
