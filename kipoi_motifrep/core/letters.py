"""The letters of DNA: the four bases in their order, N's code, and what the IUPAC letters stand for."""

from __future__ import annotations

# Order of the four columns of every one-hot array and PWM, and codes 0 to 3 of sequences at rest.
BASES = "ACGT"
N_CODE = 4  # of N, and in dataset files of any other ambiguous letter
# Cornish-Bowden (1985) Nucleic Acids Res 13:3021. The order gives the codes: A, C, G, T and N come first.
IUPAC = {
    "A": "A",
    "C": "C",
    "G": "G",
    "T": "T",
    "N": "ACGT",
    "R": "AG",
    "Y": "CT",
    "S": "CG",
    "W": "AT",
    "K": "GT",
    "M": "AC",
    "B": "CGT",
    "D": "AGT",
    "H": "ACT",
    "V": "ACG",
}
