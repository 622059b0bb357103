"""What people and other programs get: pages, the gradebook, platforms' files."""
