"""The second release of the cloud."""
