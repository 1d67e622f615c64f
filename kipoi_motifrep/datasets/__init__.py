"""Sequences with labels, in one HDF5 layout: simulated, from peaks and a genome, from tables, from DeepSEA's bundle."""

# Here, as the command line shows them in its help without importing numpy.
HELD_OUT_VALID, HELD_OUT_TEST = "0.1", "0.2"
HELD_OUT_BLOCK = 1_000_000
BUNDLE_URL = "http://deepsea.princeton.edu/media/code/deepsea_train_bundle.v0.9.tar.gz"
