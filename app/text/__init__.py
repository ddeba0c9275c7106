"""Text: pure functions on bytes."""
