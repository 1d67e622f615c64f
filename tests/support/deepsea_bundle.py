"""A small bundle in the layout of DeepSEA's, and what is to be found in it."""

import h5py
import numpy as np

N_COLUMNS, LENGTH, BUNDLE_ORDER = 919, 1000, "AGCT"
COUNTS = {"train": 60, "valid": 13, "test": 17}


def make_part(n, seed):
    source = np.random.default_rng(seed)
    letters = source.choice(list("ACGTN"), (n, LENGTH), p=[0.24, 0.26, 0.25, 0.24, 0.01])
    one_hot = np.stack([letters == letter for letter in BUNDLE_ORDER], axis=1).astype(np.uint8)  # (n, 4, 1000)
    labels = (source.random((n, N_COLUMNS)) < 0.05).astype(np.uint8)
    return ["".join(row) for row in letters], one_hot, labels


PARTS = {split: make_part(n, seed) for seed, (split, n) in enumerate(COUNTS.items())}


def write_matlab73(path, variables, **storage):
    """HDF5 behind 512 bytes of MATLAB header, axes reversed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in variables.items():
            file.create_dataset(name, data=values.T, **storage)
            file[name].attrs["MATLAB_class"] = np.bytes_("uint8")
    with open(path, "r+b") as file:
        text = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Thu Jan  1 00:00:00 2015 HDF5 schema 1.00 ."
        file.write(text.ljust(116) + bytes(8) + b"\x00\x02IM")


def expected_rows(columns):
    return {
        (split, f"{split}_{i}"): (letters[i], labels[i, columns].tolist())
        for split, (letters, _, labels) in PARTS.items()
        for i in range(len(letters))
        if labels[i, columns].any()
    }


PAPER = [592, 602, 344, 345, 635, 636, 349, 642, 359, 361, 661, 369]
