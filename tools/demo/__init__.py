"""`make demo`: the main job on real images, from a configuration to a process without torch."""
