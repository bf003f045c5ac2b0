"""What training makes smaller, and what it is judged by: losses and metrics by name, for each head."""
