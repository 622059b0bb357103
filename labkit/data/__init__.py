"""The images and weights that `labkit.zoo` loads."""
