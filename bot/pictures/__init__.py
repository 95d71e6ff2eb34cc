"""What a persona and its learning look like: a bird, a social picture, a curve. Drawn here, never fetched."""
