"""Commands for people: each parses, calls a library function and prints."""
