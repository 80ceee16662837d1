"""Programs that show ROME at work."""
