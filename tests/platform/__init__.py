"""The platform engine against torch."""
