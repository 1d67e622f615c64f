"""Where the motifs in the data are known: which database motifs stand for which label."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.motifs.jaspar import Database

_FOLDER = Path(__file__).parent / "truth"


@dataclass(frozen=True)
class KnownMotifs:
    """Labels and the matrices that stand for them.

    Parameters
    ----------
    name : str
        Of a truth that comes with the package, or the file's path.
    labels : mapping of str to tuple of str
        Matrix ids of each label, in the order of the file.
    digest : str
        SHA-256 of the file, and of what is absent.
    absent : tuple of str
        Labels of the file that were left out; see :meth:`only`.
    """

    name: str
    labels: Mapping[str, tuple[str, ...]]
    digest: str
    absent: tuple[str, ...] = ()

    def against(self, database: Database) -> KnownTargets:
        """Find the labels' matrices in a database.

        A target stands for a label if its id is listed there. Of a matrix that the
        database has in none of the listed versions (it is of another release), other
        versions count: MA0466.3 for a listed MA0466.2. By family, a target stands for
        the first label of which a matrix has one of its TF families.

        Parameters
        ----------
        database : Database
            What is searched.

        Returns
        -------
        KnownTargets
            Labels of all targets.

        Raises
        ------
        InputError
            If no matrix of any label is there.
        """
        # By id; by id without version only where the database has no listed version at all.
        present = set(database.index)
        exact: dict[str, str] = {}
        base: dict[str, str] = {}
        for label, ids in self.labels.items():
            for matrix in ids:
                exact[matrix] = label
        listed_here = {_base(matrix) for matrix in exact if matrix in present}
        for matrix, label in exact.items():
            if _base(matrix) not in listed_here:
                base.setdefault(_base(matrix), label)
        labels = [exact.get(motif.name) or base.get(_base(motif.name)) for motif in database]
        if not any(labels):
            raise InputError(
                f"none of its matrices is in {database.name}; choose the database that they are from, or "
                "list that database's ids",
                path=self.name,
            )
        families: dict[str, str] = {}
        for label in self.labels:  # in the file's order, so that the first label has a shared family
            # Families of the matrices that stand for the label, not of those that only share a family with it.
            for motif, own in zip(database, labels, strict=True):
                if own == label:
                    for family in motif.tf_family:
                        families.setdefault(family, label)
        by_family = (
            [
                label or next((families[one] for one in motif.tf_family if one in families), None)
                for motif, label in zip(database, labels, strict=True)
            ]
            if families
            else None
        )
        return KnownTargets(tuple(self.labels), tuple(labels), None if by_family is None else tuple(by_family))

    def only(self, labels: Sequence[str]) -> KnownMotifs:
        """Leave out what is no label of a data set.

        Parameters
        ----------
        labels : sequence of str
            The data set's; upper and lower case are the same.

        Returns
        -------
        Truth
            With the labels that are there; all of them if none is, since the
            data set then names other things than factors.
        """
        there = {label.casefold() for label in labels}
        kept = {label: ids for label, ids in self.labels.items() if label.casefold() in there}
        if not kept or len(kept) == len(self.labels):
            return self
        absent = tuple(label for label in self.labels if label not in kept)
        digest = hashlib.sha256("\t".join([self.digest, *absent]).encode()).hexdigest()
        return KnownMotifs(self.name, kept, digest, absent)


@dataclass(frozen=True)
class KnownTargets:
    """Labels of a database's targets.

    Parameters
    ----------
    labels : tuple of str
        All labels.
    of_target : tuple of str or None
        Label that each target stands for.
    by_family : tuple of str or None, or None
        The same by TF family; None where the database knows no families.
    """

    labels: tuple[str, ...]
    of_target: tuple[str | None, ...]
    by_family: tuple[str | None, ...] | None

    @property
    def missing(self) -> tuple[str, ...]:
        """Labels without any target: no filter can be found true for them."""
        return tuple(label for label in self.labels if label not in self.of_target)


def shipped() -> list[str]:
    """List the truths that come with the package."""
    return sorted(path.stem for path in _FOLDER.glob("*.tsv"))


def read_known_motifs(spec: str | os.PathLike) -> KnownMotifs:
    """Read which matrices stand for which label.

    A table with tabs: label, then matrix ids with commas between them; a label may
    have several rows. Lines that start with ``#``, and a first row ``label ...``,
    are skipped.

    Parameters
    ----------
    spec : str or path-like
        ``synthetic`` (the planted motifs of Koo & Eddy 2019), ``synthetic-as-published``
        (with MEF2B and MEF2D counted as STAT1, as the paper's tables have it), ``invivo``
        (the same factors as labels of ChIP-seq data), or a file.

    Returns
    -------
    Truth
        Labels and ids.

    Raises
    ------
    InputError
        Names the file, the row and what is wrong there.

    Examples
    --------
    >>> read_known_motifs("synthetic").labels["STAT1"]
    ('MA0137.1', 'MA0137.2', 'MA0137.3')
    """
    path = _FOLDER / f"{spec}.tsv" if str(spec) in shipped() else Path(spec)
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"no such file, and no truth of this name ({', '.join(shipped())})", path=spec) from None
    except UnicodeDecodeError:
        raise InputError("not text; a truth file has a label, a tab and matrix ids in each row", path=spec) from None
    labels: dict[str, list[str]] = {}
    owner: dict[str, str] = {}
    for row, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split("\t")]
        if not labels and fields[0].lower() == "label":
            continue
        _add(labels, owner, fields, spec, row)
    if not labels:
        raise InputError("has no labels; a truth file has a label, a tab and matrix ids in each row", path=spec)
    return KnownMotifs(
        str(spec), {label: tuple(ids) for label, ids in labels.items()}, hashlib.sha256(content).hexdigest()
    )


def _add(labels: dict[str, list[str]], owner: dict[str, str], fields: Sequence[str], path, row: int) -> None:
    ids = [one.strip() for field in fields[1:] for one in field.split(",") if one.strip()]
    if not fields[0] or not ids:
        raise InputError("needs a label, a tab and one matrix id or more (MA0466.2,MA0466.1)", path=path, row=row)
    for matrix in ids:
        if owner.setdefault(matrix, fields[0]) != fields[0]:
            raise InputError(f"{matrix} stands for {owner[matrix]} already; keep it with one label", path=path, row=row)
    labels.setdefault(fields[0], []).extend(one for one in ids if one not in labels.get(fields[0], ()))


def _base(matrix: str) -> str:
    head, dot, tail = matrix.rpartition(".")
    return head if dot and tail.isdigit() else matrix
