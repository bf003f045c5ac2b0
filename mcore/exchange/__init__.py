"""Between the engines: export to the platform, import from it, files of weights, verification."""
