"""Questions about checkpoints, and the index that answers them."""
