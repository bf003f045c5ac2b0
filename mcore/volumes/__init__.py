"""Networks run over images and volumes, tile by tile."""
