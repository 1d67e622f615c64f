"""The Motif type: one PWM with its names, and what can be computed from it alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.letters import BASES, IUPAC

# Four letters printed with two decimals, as the coarsest motif files are, can miss 1 by this much.
ROW_SUM_TOLERANCE = 0.02 + 1e-9
TRIM_THRESHOLD = 0.5  # bits; Koo & Eddy 2019, methods
TRIM_PAD = 3  # positions kept on either side

_LETTER_OF_BASES = {sum(1 << BASES.index(base) for base in bases): letter for letter, bases in IUPAC.items()}


@dataclass(frozen=True, eq=False, repr=False)
class Motif:
    """A DNA motif: a probability for each letter at each position.

    Strand-free: the matrix reads 5' to 3' on whichever strand it was made. Two
    motifs are equal when all their fields are.

    Parameters
    ----------
    name : str
        Identifier, not empty.
    pwm : numpy.ndarray, shape (width, 4), float64
        Probabilities, columns ACGT, stored as given. Rows may miss 1 by 0.02
        (files with two decimals); they are not rescaled here.
    alt_name : str, default ""
        Second name, usually the transcription factor.
    nsites : float, optional
        Number of sites that the motif was made from.
    counts : numpy.ndarray, shape (width, 4), float64, optional
        Letter counts, where they are known.
    tf_class, tf_family : tuple of str, default ()
        Structural class and family of the transcription factor; a dimer has two.

    Raises
    ------
    InputError
        If the matrix is not (width, 4), finite, non-negative, with rows that sum to 1.

    Examples
    --------
    >>> motif = Motif("MA1", [[1, 0, 0, 0], [0, 0.5, 0, 0.5], [0.25, 0.25, 0.25, 0.25]], "X")
    >>> motif.width, motif.consensus, motif.reverse_complement().consensus, motif.total_information()
    (3, 'AYN', 'NRT', 3.0)
    """

    name: str
    pwm: np.ndarray
    alt_name: str = ""
    nsites: float | None = None
    counts: np.ndarray | None = None
    tf_class: tuple[str, ...] = ()
    tf_family: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        name = str(self.name).strip()
        if not name:
            raise InputError("a motif needs a name")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "pwm", _frozen_matrix(self.pwm, f"PWM of motif {name}"))
        miss = np.abs(self.pwm.sum(axis=1) - 1)
        if miss.max() > ROW_SUM_TOLERANCE:
            position = int(miss.argmax())
            raise InputError(
                f"PWM of motif {name}: position {position + 1} sums to {self.pwm[position].sum():g}; "
                "probabilities must sum to 1"
            )
        if self.counts is not None:
            object.__setattr__(self, "counts", _frozen_matrix(self.counts, f"counts of motif {name}"))
            if self.counts.shape != self.pwm.shape:
                raise InputError(f"motif {name}: counts {self.counts.shape} and PWM {self.pwm.shape} differ in shape")
        if self.nsites is not None:
            object.__setattr__(self, "nsites", float(self.nsites))
            if not (np.isfinite(self.nsites) and self.nsites >= 0):
                raise InputError(f"motif {name}: nsites must be a number from 0 up, not {self.nsites:g}")
        object.__setattr__(self, "tf_class", _names(self.tf_class))
        object.__setattr__(self, "tf_family", _names(self.tf_family))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Motif):
            return NotImplemented
        return (
            self._key() == other._key()
            and np.array_equal(self.pwm, other.pwm)
            and (
                other.counts is None
                if self.counts is None
                else other.counts is not None and np.array_equal(self.counts, other.counts)
            )
        )

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple:
        return self.name, self.alt_name, self.nsites, self.tf_class, self.tf_family

    def __repr__(self) -> str:
        alt = f" {self.alt_name}" if self.alt_name else ""
        return f"<Motif {self.name}{alt}, width {self.width}, {self.consensus}>"

    def _repr_svg_(self) -> str:
        from kipoi_motifrep.motifs.logos import information_logo

        return information_logo(self, " ".join(filter(None, (self.name, self.alt_name))))._repr_svg_()

    @property
    def width(self) -> int:
        """Number of positions."""
        return len(self.pwm)

    @property
    def consensus(self) -> str:
        """One IUPAC letter a position.

        Rule of Cavener (1987) Nucleic Acids Res 15:1353: one base if it has more
        than 1/2 and at least twice the next; else two bases if together they have
        more than 3/4; else three bases if the fourth never occurs; else N.
        """
        return consensus(self.pwm)

    def information(self, background: Sequence[float] | np.ndarray | None = None) -> np.ndarray:
        """Information content of each position, in bits; see `information_content`."""
        return information_content(self.pwm, background)

    def total_information(self, background: Sequence[float] | np.ndarray | None = None) -> float:
        """Information content of the whole motif, in bits."""
        return float(self.information(background).sum())

    def reverse_complement(self) -> Motif:
        """Return the same motif read on the other strand; names are kept."""
        counts = None if self.counts is None else self.counts[::-1, ::-1]
        return replace(self, pwm=self.pwm[::-1, ::-1], counts=counts)

    def trimmed(self, threshold: float = TRIM_THRESHOLD, pad: int = TRIM_PAD) -> Motif:
        """Cut uninformative ends off; see `trim_bounds`. Names are kept."""
        start, stop = trim_bounds(self.pwm, threshold, pad)
        counts = None if self.counts is None else self.counts[start:stop]
        return replace(self, pwm=self.pwm[start:stop], counts=counts)


def consensus(pwm: np.ndarray) -> str:
    """Write one IUPAC letter a position; the rule is that of `Motif.consensus`.

    Parameters
    ----------
    pwm : numpy.ndarray, shape (width, 4)
        Probabilities, ACGT.

    Returns
    -------
    str

    Examples
    --------
    >>> consensus(np.array([[1, 0, 0, 0], [0, 0.5, 0, 0.5], [0.4, 0.3, 0.3, 0]]))
    'AYV'
    """
    order = np.argsort(-pwm, axis=1, kind="stable")
    first, second, third, fourth = np.take_along_axis(pwm, order, axis=1).T
    rules = (first > 0.5) & (first >= 2 * second), first + second > 0.75, (fourth == 0) & (third > 0)
    n = np.select(rules, (1, 2, 3), 4)
    # A set of bases is a number: one bit a base.
    sets = np.cumsum(1 << order, axis=1)[np.arange(len(n)), n - 1]
    return "".join([_LETTER_OF_BASES[one] for one in sets.tolist()])


def information_content(pwm: np.ndarray, background: Sequence[float] | np.ndarray | None = None) -> np.ndarray:
    """Information content of each position: relative entropy to the background.

    Schneider & Stephens (1990) without small-sample correction. Under the uniform
    background it is 2 + sum p log2 p, and exactly 0 for a uniform position.

    Parameters
    ----------
    pwm : numpy.ndarray, shape (..., 4)
        Probabilities, ACGT; a row is divided by its sum first.
    background : sequence of 4 floats, optional
        Letter probabilities; uniform by default.

    Returns
    -------
    numpy.ndarray, shape (...), float64
        Bits, never negative.

    Raises
    ------
    InputError
        If the background is not 4 positive numbers that sum to 1.

    Examples
    --------
    >>> information_content([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25, 0.25, 0.25, 0.25]])
    array([2., 1., 0.])
    """
    background = check_background(background)
    pwm = np.asarray(pwm, float)
    pwm = pwm / pwm.sum(axis=-1, keepdims=True)
    ratio = np.where(pwm > 0, pwm, 1) / np.where(pwm > 0, background, 1)
    return np.maximum((pwm * np.log2(ratio)).sum(axis=-1), 0.0)


def trim_bounds(pwm: np.ndarray, threshold: float = TRIM_THRESHOLD, pad: int = TRIM_PAD) -> tuple[int, int]:
    """Bounds of the informative part of a PWM (Koo & Eddy 2019, methods).

    Parameters
    ----------
    pwm : numpy.ndarray, shape (width, 4)
        Probabilities.
    threshold : float, default 0.5
        Bits (uniform background) that a position must be above.
    pad : int, default 3
        Positions kept on either side of the first and the last such position.

    Returns
    -------
    start, stop : int
        ``pwm[start:stop]`` is the part to keep: all of it if no position is above.

    Examples
    --------
    >>> trim_bounds([[0.25] * 4] * 5 + [[1, 0, 0, 0]] + [[0.25] * 4] * 5)
    (2, 9)
    """
    informative = np.flatnonzero(information_content(pwm) > threshold)
    if len(informative) == 0:
        return 0, len(pwm)
    return max(0, int(informative[0]) - pad), min(len(pwm), int(informative[-1]) + 1 + pad)


def check_background(background: Sequence[float] | np.ndarray | None) -> np.ndarray:
    """Validate letter probabilities of a background.

    Parameters
    ----------
    background : sequence of 4 floats or None
        ACGT; None is uniform.

    Returns
    -------
    numpy.ndarray, shape (4,), float64
        The probabilities, as given.

    Raises
    ------
    InputError
        If they are not 4 positive numbers that sum to 1 (within 0.001).

    Examples
    --------
    >>> check_background([0.3, 0.2, 0.2, 0.3])
    array([0.3, 0.2, 0.2, 0.3])
    """
    if background is None:
        return np.full(4, 0.25)
    values = np.asarray(background, float)
    if values.shape != (4,) or not np.all(values > 0) or not abs(values.sum() - 1) <= 1e-3:
        raise InputError(f"background must be 4 positive numbers (A C G T) that sum to 1, not {background}")
    return values


def _frozen_matrix(values: np.ndarray, what: str) -> np.ndarray:
    try:
        matrix = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{what} must be numbers") from None
    if matrix.ndim != 2 or matrix.shape[1] != 4 or len(matrix) == 0:
        raise InputError(f"{what} must have shape (width, 4), not {matrix.shape}")
    # One comparison catches negative numbers and NaN, the other infinity.
    if not (matrix.min() >= 0 and matrix.max() < np.inf):
        raise InputError(f"{what} must be finite and not negative")
    matrix.setflags(write=False)
    return matrix


def _names(names: Sequence[str] | str) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
