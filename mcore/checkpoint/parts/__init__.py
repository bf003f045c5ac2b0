"""What a network tells of itself, part by part, and how its weights come back."""
