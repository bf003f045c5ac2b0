"""What is written of a network: its source, its documentation, its configuration in full, a schema for editors."""
