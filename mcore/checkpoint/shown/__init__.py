"""Checkpoints as people see them: cards, trees, lines, what differs."""
