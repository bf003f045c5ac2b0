"""Names of other libraries for the parts of our networks, a library a file."""
