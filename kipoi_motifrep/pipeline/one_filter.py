"""One filter of an interpretation, with all that was found about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kipoi_motifrep.motifs import Motif
from kipoi_motifrep.motifs.logos import Logo, information_logo
from kipoi_motifrep.motifs.notebook import html_table
from kipoi_motifrep.report.schema import FilterRow, MatchRow, PlantedRow, SitesRow


@dataclass(frozen=True, eq=False, repr=False)
class Filter:
    """One filter.

    Parameters
    ----------
    pwm : numpy.ndarray, shape (width, 4)
        Its whole PWM, probabilities in ACGT order.
    motif : Motif
        The trimmed PWM, as it was matched and planted.
    row : FilterRow
        All else that the report says of it.

    Examples
    --------
    >>> pwm = np.eye(4)[[0, 1, 2]]
    >>> one = Filter(pwm, Motif("filter0", pwm), FilterRow("filter0", pwm.tolist(), (0, 3), 9, 0.5, 1.0))
    >>> one
    <Filter filter0: ACG, 9 sites, no match>
    >>> one.logo.width, one.match is None
    (3, True)
    """

    pwm: np.ndarray
    motif: Motif
    row: FilterRow

    @property
    def name(self) -> str:
        """Its name in all tables."""
        return self.row.name

    @property
    def logo(self) -> Logo:
        """Logo of the trimmed PWM, by information content."""
        return information_logo(self.motif, self.name)

    @property
    def match(self) -> MatchRow | None:
        """The known motif that its row speaks of; None without a match."""
        return self.row.match

    @property
    def matches(self) -> tuple[MatchRow, ...]:
        """All matches that are shown, one a TF family."""
        return self.row.matches

    @property
    def called(self) -> bool | None:
        """Whether it is called: its shuffles do not get such a match. None where that was not asked for."""
        return self.row.called

    @property
    def sites(self) -> SitesRow | None:
        """Where in the sequences it fires, how high, and its highest sites; None for a dead filter."""
        return self.row.sites

    @property
    def planted(self) -> tuple[PlantedRow, ...]:
        """What its motif does to the outputs when it is planted, the plainest way first."""
        return self.row.planted

    def words(self) -> str:
        """Say what it resembles."""
        if self.match is None:
            return "no match" if self.row.status == "active" else self.row.status
        called = {True: ", called", False: ", like chance", None: ""}[self.called]
        return f"{self.match.name} {self.match.target_id} (E {self.match.e_value:.2g}){called}"

    def __repr__(self) -> str:
        return f"<Filter {self.name}: {self.motif.consensus}, {self.row.n_sites} sites, {self.words()}>"

    def _repr_html_(self) -> str:
        rows = [
            (match.name, information_logo(np.array(match.oriented)), match.target_id, match.e_value, match.family)
            for match in self.matches
        ]
        header = ("motif", "logo", "id", "E-value", "family")
        return html_table(repr(self)[1:-1], header, [(self.name, self.logo, None, None, None), *rows])
