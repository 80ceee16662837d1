"""The first release of the cloud."""
