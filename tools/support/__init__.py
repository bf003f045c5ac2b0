"""What `mcore convert` and `mcore table` are made of."""
