"""Search of finished outputs for values of the originals. Knows nothing of how the outputs were made."""
