"""Samples to train with: sources by name, augmentation, and the order in which every process reads them."""
