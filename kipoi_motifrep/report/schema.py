"""What a report is made from: `Report` and its parts, and the file ``interpretation.json``.

Everything is plain: text, numbers, booleans, tuples of them; a matrix is a tuple of
rows, a row of a PWM is (A, C, G, T). numpy arrays and scalars, and lists, are
converted when an object is made, and NaN becomes None. Fields that default to None
or () may be left out; the page then leaves out what it would have shown there.

    report = Report(network=NetworkSummary(...), filters=(FilterRow(...), ...), ...)
    write_interpretation(folder, report)          # folder/interpretation.json
    report = read_interpretation(folder)          # equal to the one written
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.outputs import write_text
from kipoi_motifrep.core.statuses import ACTIVE, DEAD, NO_INFORMATION
from kipoi_motifrep.core.textfile import parse_json
from kipoi_motifrep.report.plain_values import (
    Matrix,
    Plain,
    PlainValue,
    build,
    check_choice,
    check_length,
    check_matrix,
)
from kipoi_motifrep.representation.coverage import PARTIAL, WHOLE
from kipoi_motifrep.representation.planting import FORMS, PLACES

FILE_NAME = "interpretation.json"
FORMAT = 1
KINDS = {
    "whole": ("whole motif", "whole motifs"),
    "partial": ("partial motif", "partial motifs"),
    "matched": ("matched", "matched"),
    "none": ("no match", "without a match"),
    "silent": ("dead or no information", "dead or without information"),
}
"""What a reader sorts filters by, from whole motifs down, in words for one and for many; `FilterRow.kind` is a key."""


@dataclass(frozen=True)
class NetworkSummary(Plain):
    """The network and what it was run on.

    Parameters
    ----------
    name : str
        Such as ``synthetic/cnn_25``.
    n_filters, width : int
        Of the convolution that is interpreted; width in bases.
    source : str
        Where it comes from: Kipoi source, folder or file.
    layer : str
        Name of the convolution.
    axes : str
        How its input is laid out, in words.
    sequences : str
        What went through it: ``5,000 sequences of 200 bp from test.h5``.
    n_sequences, length : int, optional
        How many, and their length in bases.
    found : str
        One line: what was found where.
    description : str
        A sentence about the model, such as its authors' own.
    url : str
        Page of the model.
    """

    name: str
    n_filters: int
    width: int
    source: str = ""
    layer: str = ""
    axes: str = ""
    sequences: str = ""
    n_sequences: int | None = None
    found: str = ""
    description: str = ""
    url: str = ""
    length: int | None = None


@dataclass(frozen=True)
class FamilyMember(Plain):
    """A further match of a TF family that one line stands for.

    Parameters
    ----------
    target_id, name : str
        As in `MatchRow`.
    e_value : float
        Of Tomtom.
    """

    target_id: str
    name: str
    e_value: float


@dataclass(frozen=True)
class MatchRow(Plain):
    """One database motif that a filter resembles.

    Parameters
    ----------
    target_id : str
        ``MA0058.3``; it links to JASPAR's page if `database` names JASPAR.
    name : str
        Transcription factor.
    e_value, q_value, p_value : float
        Of Tomtom; q-value None where it was not asked for.
    offset : int
        Position of the first column of the trimmed filter in the target, read in `orientation`;
        negative where the filter begins before it. Tomtom's optimal offset.
    orientation : {"+", "-"}
        ``-`` if the target's reverse complement was aligned.
    overlap : int
        Number of aligned columns.
    pwm : matrix, shape (width, 4)
        The target as the database has it, whatever the orientation.
    family, tf_class : str
        Of the transcription factor.
    database : str
        ``JASPAR2026``, or a file.
    coverage : float, optional
        Fraction of the target's information that the aligned filter holds, 0 to 1.
    true : str, optional
        Label of the truth that this target stands for; None if it stands for none.
    members : tuple of FamilyMember
        Further matches of the same TF family, best first, which have no row of their own.
    """

    target_id: str
    name: str
    e_value: float
    q_value: float | None
    p_value: float
    offset: int
    orientation: str
    overlap: int
    pwm: Matrix
    family: str = ""
    tf_class: str = ""
    database: str = ""
    coverage: float | None = None
    true: str | None = None
    members: tuple[FamilyMember, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_matrix(self.pwm, f"pwm of {self.target_id}")
        if self.orientation not in ("+", "-"):
            raise InputError(f"orientation of {self.target_id} must be + or -, not {self.orientation!r}")

    @property
    def oriented(self) -> Matrix:
        """The target on the strand that was aligned."""
        return self.pwm if self.orientation == "+" else reverse_complement(self.pwm)


@dataclass(frozen=True)
class PlantedRow(Plain):
    """What every output does when a filter's motif is planted in background sequences, in one way.

    Parameters
    ----------
    form : {"sampled", "consensus"}
        Sequences drawn from the filter's PWM, or its most probable bases.
    place : {"centre", "anywhere"}
        At the centre of the backgrounds, or at a place drawn for each of them.
    orientation : {"+", "-"}
        As the filter's logo reads, or its reverse complement.
    copies : int
        How many in one sequence.
    change : tuple of float
        Mean change of each output over the backgrounds, in the unit of `Planting.units`; above 0, the motif raises it.
    error : tuple of float
        Standard error of each; None with a single background.
    """

    form: str
    place: str
    orientation: str
    copies: int
    change: tuple[float | None, ...]
    error: tuple[float | None, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self.form, FORMS, "form of a planted motif")
        check_choice(self.place, PLACES, "place of a planted motif")
        check_choice(self.orientation, ("+", "-"), "orientation of a planted motif")
        check_length(self.error, self.change, "errors of a planted motif", "changes")


@dataclass(frozen=True)
class PartnerRow(Plain):
    """How a filter's motif and another's act together on one output, along their distance.

    Parameters
    ----------
    name : str
        The other filter.
    output : str
        The output on which they interact most.
    orientation : {"+", "-"}
        Of the other motif; the filter's own reads forward.
    distances : tuple of int
        Bases from the centre of the filter's motif to the centre of the other; below 0, the other lies before it.
    interaction : tuple of float
        One a distance: mean change with both motifs less those with each alone, in the unit of `Planting.units`;
        above 0, they do more together than apart.
    error : tuple of float
        Standard error of each; None with a single background.
    """

    name: str
    output: str
    orientation: str
    distances: tuple[int, ...]
    interaction: tuple[float | None, ...]
    error: tuple[float | None, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self.orientation, ("+", "-"), f"orientation of partner {self.name}")
        for values in (self.interaction, self.error):
            check_length(values, self.distances, f"interaction with {self.name}", "distances")


@dataclass(frozen=True)
class Planting(Plain):
    """How motifs were planted.

    Parameters
    ----------
    n_backgrounds : int
        Sequences that each motif was planted in.
    backgrounds : str
        What they are, in words.
    units : tuple of str
        What the changes of each output are in: ``logit`` (before the sigmoid or softmax), ``logit of the
        prediction`` (where there is none to be found, but predictions are 0 to 1), ``output``.
    """

    n_backgrounds: int
    backgrounds: str
    units: tuple[str, ...] = ()


@dataclass(frozen=True)
class SitesRow(Plain):
    """What the PWM of a filter rests on.

    Parameters
    ----------
    heights : tuple of int
        Number of sequences by the filter's largest activation in them: nowhere above 0, then bins of one width up to
        the maximum.
    bin_width : float
        Of these.
    level : float
        Sites are above it.
    places : tuple of int
        Number of sites by their middle, in equal parts of the sequence from its first base to its last.
    examples : tuple of (str, int, str, float)
        The highest sites, at most one in a sequence: name of the sequence, first base of the window (from 0, below 0
        before the sequence), bases (N beyond its ends), activation.
    """

    heights: tuple[int, ...]
    bin_width: float
    level: float
    places: tuple[int, ...]
    examples: tuple[tuple[str, int, str, float], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if min((*self.heights, *self.places), default=0) < 0 or not self.bin_width > 0 or not self.level >= 0:
            raise InputError("counts of sites must be 0 or more, and so must their level; bins must have a width")


@dataclass(frozen=True)
class FilterRow(Plain):
    """One filter.

    Parameters
    ----------
    name : str
        Unique in the report.
    pwm : matrix, shape (width, 4)
        The whole PWM.
    trim : (int, int)
        ``pwm[trim[0]:trim[1]]`` is what was matched.
    n_sites : int
        Number of sites that the PWM was made from.
    fraction_firing : float
        Fraction of the sequences with a site.
    maximum : float
        Largest activation.
    status : {"active", "dead", "no information"}
        Only active filters are matched.
    matches : tuple of MatchRow
        Those that count as matches, one a TF family; empty if there is none. First the one that `extent`,
        `coverage` and `true` speak of, then the others, best first.
    n_more : int
        Number of further matches that are neither in `matches` nor among their members.
    more : tuple of FamilyMember
        These, best family first.
    extent : {"whole", "partial"}, optional
        Whether the filter is a whole motif or a part of one; None without a match.
    coverage : float, optional
        Fraction of the target's information that `extent` was decided on, 0 to 1.
    true : str, optional
        Label of the truth that the filter stands for, by any of its matches.
    group : int, optional
        `FilterGroup.number` that it belongs to.
    importance : tuple of float, optional
        How much the filter raises each output: above 0, the output falls when the filter is set to its mean.
    correlation : tuple of float, optional
        Of the filter's maximum in a sequence with each output; None where it is not defined.
    speaks_for : tuple of str
        Outputs that the filter matters most for.
    kernel : matrix, shape (width, 4), optional
        Weights of the convolution.
    planted : tuple of PlantedRow
        What its trimmed motif does when it is planted, in several ways, the plainest first (drawn from the PWM, at
        the centre, forward, one copy); empty where it was not planted.
    partner : PartnerRow, optional
        The other filter with which it interacts most, of those that were tried: the strongest ones.
    p_chance : float, optional
        Share of the filter's shuffles with a best match as good, itself counted; None where it was not asked for.
    fdr : float, optional
        False discovery rate of all filters up to this one; 1 for a filter that its own shuffles beat.
    called : bool, optional
        Whether the filter has a match and its `fdr` is as low as wanted; None where `fdr` is.
    sites : SitesRow, optional
        Where it fires, and how high.
    """

    name: str
    pwm: Matrix
    trim: tuple[int, int]
    n_sites: int
    fraction_firing: float
    maximum: float
    status: str = ACTIVE
    matches: tuple[MatchRow, ...] = ()
    n_more: int = 0
    extent: str | None = None
    coverage: float | None = None
    true: str | None = None
    group: int | None = None
    importance: tuple[float | None, ...] | None = None
    correlation: tuple[float | None, ...] | None = None
    speaks_for: tuple[str, ...] = ()
    kernel: Matrix | None = None
    planted: tuple[PlantedRow, ...] = ()
    partner: PartnerRow | None = None
    p_chance: float | None = None
    fdr: float | None = None
    called: bool | None = None
    sites: SitesRow | None = None
    more: tuple[FamilyMember, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_matrix(self.pwm, f"pwm of {self.name}")
        if self.kernel is not None:
            check_matrix(self.kernel, f"kernel of {self.name}")
        if len(self.trim) != 2 or not 0 <= self.trim[0] < self.trim[1] <= len(self.pwm):
            raise InputError(f"trim of {self.name} is {self.trim}; it must lie in 0 to {len(self.pwm)}")
        check_choice(self.status, (ACTIVE, DEAD, NO_INFORMATION), f"status of {self.name}")
        check_choice(self.extent, (None, WHOLE, PARTIAL), f"extent of {self.name}")

    @property
    def trimmed(self) -> Matrix:
        """The part of the PWM that was matched."""
        return self.pwm[self.trim[0] : self.trim[1]]

    @property
    def match(self) -> MatchRow | None:
        """The match that the row speaks of: a true one where there is one, else the best."""
        return self.matches[0] if self.matches else None

    @property
    def best(self) -> MatchRow | None:
        """The match with the lowest E-value, which may be another than `match`."""
        return min(self.matches, key=lambda match: match.e_value, default=None)

    @property
    def like_chance(self) -> bool:
        """Whether the filter has a match but is not called: shuffled filters get as good ones."""
        return bool(self.matches) and self.called is False

    @property
    def kind(self) -> str:
        """One of `KINDS`: by extent, or why there is none."""
        if self.status != ACTIVE:
            return "silent"
        if not self.matches:
            return "none"
        return self.extent or "matched"


@dataclass(frozen=True)
class Metric(Plain):
    """One number about the network, and the same number by chance.

    Parameters
    ----------
    key : str
        Unique in the report; `compare` puts equal keys in one row, and marks the first null of
        the one named ``matched``, a fraction, in its picture.
    name : str
        In words.
    value : float, optional
        None where it could not be computed.
    explanation : str
        One or two sentences: what it counts.
    style : {"fraction", "count", "number"}
        ``fraction``: 0 to 1, shown as a per cent, or as ``k of n`` with `of`.
    of : int, optional
        What a fraction or count is taken of.
    nulls : tuple of (mean, low, high)
        One for each of `Report.nulls`, in its order; low and high may be None, and so may a whole entry.
    """

    key: str
    name: str
    value: float | None
    explanation: str = ""
    style: str = "number"
    of: int | None = None
    nulls: tuple[tuple[float | None, float | None, float | None] | None, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self.style, ("fraction", "count", "number"), f"style of figure {self.key}")


@dataclass(frozen=True)
class NullModel(Plain):
    """One way of asking what chance gives.

    Parameters
    ----------
    name : str
        ``shuffled columns``, ``untrained network``.
    explanation : str
        How it was made.
    draws : int
        How often.
    """

    name: str
    explanation: str = ""
    draws: int = 1


@dataclass(frozen=True)
class ChanceTarget(Plain):
    """A database motif that takes matches of shuffled filters.

    Parameters
    ----------
    target_id, name : str
        As in `MatchRow`.
    share : float
        Of all chance matches, 0 to 1.
    database : str
        As in `MatchRow`.
    """

    target_id: str
    name: str
    share: float
    database: str = ""


@dataclass(frozen=True)
class GroupMember(Plain):
    """A filter in a group.

    Parameters
    ----------
    name : str
        The filter.
    offset : int
        Position of its first trimmed column, counted from the first member's first trimmed column.
    orientation : {"+", "-"}
        Relative to the first member.
    """

    name: str
    offset: int = 0
    orientation: str = "+"


@dataclass(frozen=True)
class FilterGroup(Plain):
    """Filters that are one motif, on either strand.

    Parameters
    ----------
    number : int
        Unique in the report.
    members : tuple of GroupMember
        The clearest first.
    label : str
        What they are: a transcription factor.
    """

    number: int
    members: tuple[GroupMember, ...]
    label: str = ""


@dataclass(frozen=True)
class KnownMotifRow(Plain):
    """One motif that is known to be in the data.

    Parameters
    ----------
    label : str
        Usually the transcription factor.
    targets : tuple of str
        Database ids that count as this motif.
    filters : tuple of str
        Filters that found it.
    coverage : float, optional
        The best among them, 0 to 1.
    """

    label: str
    targets: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    coverage: float | None = None


@dataclass(frozen=True)
class HeatMap(Plain):
    """A number for every filter and output.

    Parameters
    ----------
    name : str
        ``Importance``.
    values : matrix, shape (n_filters, n_outputs)
        Rows in the order of `Report.filters`, columns of `Report.outputs`; None where not defined.
    explanation : str
        What a value means, and its unit.
    """

    name: str
    values: tuple[tuple[float | None, ...], ...]
    explanation: str = ""


@dataclass(frozen=True)
class DatabaseSummary(Plain):
    """The motifs that were searched.

    Parameters
    ----------
    name : str
        ``JASPAR2026 CORE vertebrates``.
    release : str
        Empty for files.
    n_motifs : int
    digest : str
        Of its content.
    """

    name: str
    release: str = ""
    n_motifs: int | None = None
    digest: str = ""


@dataclass(frozen=True)
class Citation(Plain):
    """A work to cite.

    Parameters
    ----------
    text : str
        The reference.
    what : str
        What it is to be cited for.
    url : str
        Its page.
    """

    text: str
    what: str = ""
    url: str = ""


@dataclass(frozen=True)
class Report(Plain):
    """Everything that the page of one network shows.

    Parameters
    ----------
    network : NetworkSummary
    filters : tuple of FilterRow
        In the network's order.
    sentence : str
        The figures in one sentence.
    figures : tuple of Metric
        The table at the top, in order.
    nulls : tuple of NullModel
        What `Metric.nulls` were drawn from.
    outputs : tuple of str
        Names of the network's outputs.
    groups : tuple of FilterGroup, optional
        Filters that are alike; groups of one may be left out.
    heat_maps : tuple of HeatMap
        Filter x output; the first is opened.
    truth : tuple of KnownMotifRow, optional
        Where the truth is known: what was found of it.
    database : DatabaseSummary, optional
        What was searched.
    parameters, versions : dict of str to plain value
        How this was computed.
    citations : tuple of Citation
        How to cite.
    notes : tuple of str
        What the reader must know: warnings, limits.
    created : str
        Date and time.
    chance_targets : tuple of ChanceTarget
        Targets that take the most matches of shuffled filters, if any stands out.
    planting : Planting, optional
        How motifs were planted, where they were.

    Examples
    --------
    >>> row = FilterRow("filter0", ((1, 0, 0, 0), (0, 0, 0, 1)), (0, 2), n_sites=9, fraction_firing=0.5, maximum=1.0)
    >>> report = Report(NetworkSummary("mine", n_filters=1, width=2), (row,))
    >>> report.kinds
    {'none': 1}
    >>> Report.from_json(report.to_json()) == report
    True
    """

    network: NetworkSummary
    filters: tuple[FilterRow, ...]
    sentence: str = ""
    figures: tuple[Metric, ...] = ()
    nulls: tuple[NullModel, ...] = ()
    outputs: tuple[str, ...] = ()
    groups: tuple[FilterGroup, ...] | None = None
    heat_maps: tuple[HeatMap, ...] = ()
    truth: tuple[KnownMotifRow, ...] | None = None
    database: DatabaseSummary | None = None
    parameters: dict[str, PlainValue] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    citations: tuple[Citation, ...] = ()
    notes: tuple[str, ...] = ()
    created: str = ""
    planting: Planting | None = None
    chance_targets: tuple[ChanceTarget, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        names = [row.name for row in self.filters]
        if len(set(names)) < len(names):
            raise InputError("two filters of a report have one name")
        for row in self.filters:
            for values in (row.importance, row.correlation):
                check_length(values, self.outputs, f"importance and correlation of {row.name}", "outputs")
            for planted in row.planted:
                check_length(planted.change, self.outputs, f"planted motif of {row.name}", "outputs")
            if row.partner is not None and (row.partner.output not in self.outputs or row.partner.name not in names):
                raise InputError(f"partner of {row.name} names an output or a filter that the report lacks")
        if self.planting is not None:
            check_length(self.planting.units, self.outputs, "units of planted motifs", "outputs")
        for heat_map in self.heat_maps:
            check_length(heat_map.values, self.filters, f"heat map {heat_map.name}", "filters")
            for values in heat_map.values:
                check_length(values, self.outputs, f"a row of heat map {heat_map.name}", "outputs")
        for metric in self.figures:
            if metric.nulls:
                check_length(metric.nulls, self.nulls, f"figure {metric.key}", "nulls")
        unknown = {member.name for group in self.groups or () for member in group.members} - set(names)
        if unknown:
            raise InputError(f"groups name filters that the report lacks: {', '.join(sorted(unknown))}")

    def __repr__(self) -> str:
        return f"<Report of {self.network.name}: {len(self.filters)} filters, {len(self.outputs)} outputs>"

    @property
    def kinds(self) -> dict[str, int]:
        """Number of filters of each kind, in the order of `KINDS`; kinds without any are left out."""
        found = [row.kind for row in self.filters]
        return {kind: found.count(kind) for kind in KINDS if kind in found}

    @property
    def chance_matched(self) -> float | None:
        """Fraction of filters that match by chance: the first null of the metric ``matched``."""
        for metric in self.figures:
            if metric.key == "matched" and metric.style == "fraction" and metric.nulls and metric.nulls[0]:
                return metric.nulls[0][0]
        return None

    def to_json(self) -> str:
        """Write everything as JSON.

        Returns
        -------
        str
            One line.
        """
        return json.dumps({"format": FORMAT, **vars(self)}, default=vars, allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Read what `to_json` wrote; the result is equal to what was written.

        Parameters
        ----------
        text : str
            JSON.

        Raises
        ------
        InputError
            If it is not that.
        """
        try:
            # A whole number of hundreds of digits is none that anything was counted in.
            value = parse_json(text, parse_int=lambda digits: int(digits) if len(digits) < 300 else float(digits))
        except ValueError as error:
            raise InputError(f"not JSON ({error}); write it again with 'kipoi-motifrep interpret'") from None
        if not isinstance(value, dict) or value.pop("format", None) != FORMAT:
            raise InputError(
                f"not an interpretation of format {FORMAT}; write it again with 'kipoi-motifrep interpret'"
            )
        try:
            return build(cls, value)  # checks each part on the way
        except (TypeError, KeyError) as error:
            raise InputError(
                f"not a whole interpretation ({error}); write it again with 'kipoi-motifrep interpret'"
            ) from None


def write_interpretation(folder: str | os.PathLike, report: Report) -> Path:
    """Write ``interpretation.json`` whole or not at all.

    Parameters
    ----------
    folder : str or path-like
        Where the report's files lie.
    report : Report
        What to write.

    Returns
    -------
    pathlib.Path
        The file.

    Examples
    --------
    >>> report = Report(NetworkSummary("mine", n_filters=0, width=2), ())
    >>> write_interpretation("results", report).name
    'interpretation.json'
    """
    path = Path(folder) / FILE_NAME
    write_text(path, report.to_json() + "\n")
    return path


def read_interpretation(folder: str | os.PathLike) -> Report:
    """Read ``interpretation.json``.

    Parameters
    ----------
    folder : str or path-like
        The folder, or the file itself.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        If there is none or it is damaged.

    Examples
    --------
    >>> _ = write_interpretation("results", Report(NetworkSummary("mine", n_filters=0, width=2), ()))
    >>> read_interpretation("results").network.name
    'mine'
    """
    path = Path(folder)
    path = path / FILE_NAME if path.is_dir() else path
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError("no such interpretation; make one with 'kipoi-motifrep interpret'", path=path) from None
    except UnicodeDecodeError:
        raise InputError("not JSON; write it again with 'kipoi-motifrep interpret'", path=path) from None
    try:
        return Report.from_json(text)
    except InputError as error:
        raise InputError(str(error), path=path) from None


def reverse_complement(pwm: Matrix) -> Matrix:
    """Read a matrix on the other strand.

    Parameters
    ----------
    pwm : matrix, shape (width, 4)

    Returns
    -------
    matrix, shape (width, 4)
    """
    return tuple(row[::-1] for row in pwm[::-1])
