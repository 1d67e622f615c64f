"""Trained networks into Kipoi groups: for a local folder, and for the public model zoo."""
