"""Slow, obvious versions of what the package does fast: plain Python strings and loops."""

import numpy as np

BASES_OF = {
    "A": "A",
    "C": "C",
    "G": "G",
    "T": "T",
    "U": "T",
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
    "N": "ACGT",
}
PARTNER = {"A": "T", "C": "G", "G": "C", "T": "A"}
PAD = "."


def one_hot(text, alphabet="ACGT", outside=0.25):
    """Rows of four for a string; a letter counts for each of its bases alike, PAD for `outside`."""
    rows = []
    for letter in text:
        if letter == PAD:
            rows.append([outside] * 4)
            continue
        bases = BASES_OF[letter.upper()]
        rows.append([1 / len(bases) if base in bases else 0 for base in alphabet])
    return np.array(rows, np.float32).reshape(-1, 4)


def reverse_complement(text):
    """Letter by letter: the letter that stands for the partners of its bases."""
    result = ""
    for letter in reversed(text.upper()):
        if letter == PAD:
            result += PAD
            continue
        partners = {PARTNER[base] for base in BASES_OF[letter]}
        result += next(other for other, bases in BASES_OF.items() if set(bases) == partners)
    return result


def fetch(chromosome, start, width):
    """Bases start to start + width of a string, PAD where it has none."""
    return "".join(chromosome[i] if 0 <= i < len(chromosome) else PAD for i in range(start, start + width))


def resized(start, end, width):
    """Start of the interval of `width` about the centre of start-end."""
    centre = (start + end) // 2
    return centre - width // 2


def fasta(sequences, widths, newline="\n", last_newline=True):
    """Text of a FASTA file, each sequence with its own line width."""
    text = ""
    for (name, sequence), width in zip(sequences.items(), widths, strict=True):
        text += f">{name} some words{newline}"
        for i in range(0, len(sequence), width):
            text += sequence[i : i + width] + newline
    return text if last_newline else text.removesuffix(newline)
