"""A trained model leaves the house here, in formats that run without this project's code."""
