"""From results to what the page shows: tables, the `Report`, and the sentence at its top."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kipoi_motifrep.core.outputs import write_json
from kipoi_motifrep.core.statuses import ACTIVE, DEAD, NO_INFORMATION
from kipoi_motifrep.core.tables import write_table
from kipoi_motifrep.filters import FilterPWMs
from kipoi_motifrep.motifs import trim_bounds
from kipoi_motifrep.motifs.matches import Matches
from kipoi_motifrep.report.plain_values import plain_value
from kipoi_motifrep.report.schema import (
    ChanceTarget,
    Citation,
    DatabaseSummary,
    FamilyMember,
    FilterGroup,
    FilterRow,
    GroupMember,
    HeatMap,
    KnownMotifRow,
    MatchRow,
    Metric,
    NetworkSummary,
    NullModel,
    PartnerRow,
    PlantedRow,
    Planting,
    Report,
    SitesRow,
)
from kipoi_motifrep.representation import Importance, KnownMotifs, Representation, coverage
from kipoi_motifrep.representation.metrics import METRICS
from kipoi_motifrep.representation.planting import WAYS, Planted

MOST_PLANTED = 100_000  # numbers of planted motifs in a report, a megabyte
SHOWN_MATCHES = 10  # of a filter; all are in tomtom.tsv
SHUFFLED = "shuffled columns"
GREEDY, MOST_GREEDY = 0.05, 5  # a target is named if it takes this share of all chance matches; how many are named
UNTRAINED = "untrained network"
PAPER = Citation(
    "Koo PK, Eddy SR (2019) Representation learning of genomic sequence motifs with convolutional neural networks. "
    "PLOS Comput Biol 15(12):e1007560",
    "activation PWMs, whole and partial motifs",
    "https://doi.org/10.1371/journal.pcbi.1007560",
)
TOMTOM = Citation(
    "Gupta S, Stamatoyannopoulos JA, Bailey TL, Noble WS (2007) Quantifying similarity between motifs. "
    "Genome Biol 8:R24",
    "statistics of the matches",
    "https://doi.org/10.1186/gb-2007-8-2-r24",
)
KIPOI = Citation(
    "Avsec Z et al. (2019) The Kipoi repository accelerates community exchange and reuse of predictive models for "
    "genomics. Nat Biotechnol 37:592-600",
    "the model zoo",
    "https://doi.org/10.1038/s41587-019-0140-0",
)
JASPAR = {
    "JASPAR2014": ("Mathelier A et al. (2014) Nucleic Acids Res 42:D142-D147", "10.1093/nar/gkt997"),
    "JASPAR2016": ("Mathelier A et al. (2016) Nucleic Acids Res 44:D110-D115", "10.1093/nar/gkv1176"),
    "JASPAR2018": ("Khan A et al. (2018) Nucleic Acids Res 46:D260-D266", "10.1093/nar/gkx1126"),
    "JASPAR2020": ("Fornes O et al. (2020) Nucleic Acids Res 48:D87-D92", "10.1093/nar/gkz1001"),
    "JASPAR2022": ("Castro-Mondragon JA et al. (2022) Nucleic Acids Res 50:D165-D173", "10.1093/nar/gkab1113"),
    "JASPAR2024": ("Rauluseviciute I et al. (2024) Nucleic Acids Res 52:D174-D182", "10.1093/nar/gkad1059"),
}


def sentence(
    name: str, representation: Representation, database: str, *, layer: str = "", planted: bool = False
) -> str:
    """Say the metrics in one plain sentence.

    Parameters
    ----------
    name : str
        Of the network.
    representation : Representation
        Its metrics.
    database : str
        Name of what was searched.
    layer : str, optional
        Name of the layer, if it is not the first.
    planted : bool, default False
        Say planted factor instead of known factor.

    Returns
    -------
    str
        ``cnn_25 is localist: 27 of 30 ...``
    """
    metrics, n = representation.metrics, len(representation.names)
    where = f"filters of layer {layer}" if layer else "first-layer filters"
    motif = "JASPAR motif" if database.startswith("JASPAR") else "known motif"
    matched = round(metrics["matched"] * n)
    text = f"{name} is {representation.kind}: {matched:,} of {n:,} {where} match a {motif}"
    if representation.shuffled is not None:
        text += f" ({round(representation.shuffled.mean['matched'] * n):,} of {n:,} expected by chance)"
    if representation.chance is not None:
        level = f"{100 * representation.chance.level:g} %"
        text += f", {round(metrics['called'] * n):,} of them at a false discovery rate of {level}"
    if "true" in metrics:
        text += (
            f", {round(metrics['true'] * n):,} match a {'planted' if planted else 'known'} factor, covering "
            f"{metrics['labels']:.0f} of {representation.of('labels')}"
        )
    return f"{text}; on average a filter holds {100 * metrics['index']:.0f} % of its motif."


def write_representation(representation: Representation, text: str, folder: str | os.PathLike) -> None:
    """Write ``representation.tsv`` and ``representation.json``.

    Parameters
    ----------
    representation : Representation
        Metrics and filters.
    text : str
        The sentence.
    folder : str or path-like
        Where to.
    """
    assignment, shuffled, untrained = representation.assignment, representation.shuffled, representation.untrained
    groups = representation.similar.group_of(len(representation.names))
    outputs = _outputs_for(representation)
    families = assignment.family_labels or assignment.labels
    filters = [
        {
            "name": name,
            "status": representation.statuses[i],
            "coverage": float(assignment.coverage[i]),
            "extent": representation.extent[i],
            "label": assignment.labels[i],
            "label_of_best": assignment.best_labels[i],
            "label_by_family": families[i],
            "p_chance": None if representation.chance is None else representation.chance.p_chance[i],
            "fdr": None if representation.chance is None else representation.chance.fdr[i],
            "called": None if representation.called is None else representation.called[i],
            "group": int(groups[i]) + 1 if groups[i] >= 0 else None,
            "speaks_for": list(outputs[i]),
        }
        for i, name in enumerate(representation.names)
    ]
    write_json(
        Path(folder) / "representation.json",
        {
            "sentence": text,
            "representation": representation.kind,
            "figures": dict(representation.metrics),
            "of": {key: representation.of(key) for key in representation.metrics},
            "shuffled": None
            if shuffled is None
            else {"mean": dict(shuffled.mean), "sd": dict(shuffled.sd), "draws": shuffled.draws},
            "untrained": untrained,
            "filters": filters,
            "notes": list(representation.notes),
        },
    )
    by_chance = ({}, {}, untrained or {}) if shuffled is None else (shuffled.mean, shuffled.sd, untrained or {})
    rows = [
        (
            key,
            *(
                "" if number is None else f"{number:.6g}"
                for number in (value, representation.of(key), *(chance.get(key) for chance in by_chance))
            ),
            METRICS[key].explanation,
        )
        for key, value in representation.metrics.items()
    ]
    write_table(
        Path(folder) / "representation.tsv",
        ("figure", "value", "of", "shuffled_mean", "shuffled_sd", "untrained", "meaning"),
        rows,
    )


def build_report(
    network: NetworkSummary,
    filters: Sequence[FilterPWMs],
    found: Matches,
    representation: Representation,
    known: KnownMotifs | None,
    *,
    planted: Planted | None = None,
    citation: Citation | None = None,
    kipoi: bool = False,
    parameters: Mapping[str, object],
    versions: Mapping[str, str],
    created: str,
) -> Report:
    """Put all results into the form that the page is made from.

    Parameters
    ----------
    network : NetworkSummary
        The network and its sequences.
    filters : sequence of FilterPWMs
        One a bank.
    found : Matches
        Of the trimmed filters, in their order.
    representation : Representation
        Metrics.
    known : KnownMotifs, optional
        The motifs in the data.
    planted : Planted, optional
        What the filters' motifs do when they are planted.
    citation : Citation, optional
        The model's own.
    kipoi : bool, default False
        Whether it is a Kipoi model.
    parameters, versions : mapping
        How it was computed.
    created : str
        When.

    Returns
    -------
    Report
    """
    importance, database = representation.importance, found.database
    first = all(one.kernels is not None for one in filters)
    return Report(
        network=network,
        filters=tuple(_filter_rows(filters, found, representation, planted)),
        sentence=sentence(
            network.name,
            representation,
            database.name,
            layer="" if first else network.layer,
            planted=known is not None and known.name.startswith("synthetic"),
        ),
        figures=tuple(_metrics(representation)),
        nulls=tuple(_nulls(representation)),
        outputs=importance.outputs if importance else planted.outputs if planted else (),
        groups=tuple(_groups(representation, found)),
        heat_maps=() if importance is None else tuple(_heat_maps(importance)),
        truth=None if known is None else tuple(_known_motif_rows(representation, known)),
        database=DatabaseSummary(database.name, database.release, len(database), database.digest),
        parameters={name: plain_value(value) for name, value in parameters.items()},
        versions=dict(versions),
        citations=tuple(_citations(citation, kipoi, database.release)),
        notes=representation.notes,
        created=created,
        chance_targets=tuple(_chance_targets(found)),
        planting=None
        if not planted or not planted.motifs
        else Planting(planted.n_backgrounds, planted.backgrounds, planted.units),
    )


def _outputs_for(representation: Representation) -> Sequence[Sequence[str]]:
    importance = representation.importance
    return importance.outputs_for() if importance else ((),) * len(representation.names)


def _filter_rows(
    filters: Sequence[FilterPWMs], found: Matches, representation: Representation, planted: Planted | None
) -> Iterator[FilterRow]:
    places = [(bank, i) for bank in filters for i in range(len(bank))]
    assignment, importance = representation.assignment, representation.importance
    chance, called, p_chance, fdr = representation.chance, representation.called, *np.full((2, len(places)), np.nan)
    if chance is not None:
        p_chance, fdr = np.array([chance.p_chance, chance.fdr], float)
    groups, outputs = representation.similar.group_of(len(places)), _outputs_for(representation)
    for one, (bank, i) in enumerate(places):
        # A row speaks of one match, the decisive one: badge, coverage and label are of that. The best by E-value has a
        # line of its own where it is another, even of the same family; all others are folded by family.
        best, decisive = int(assignment.best[one]), int(assignment.decisive[one])
        folded = found.by_family(one, decisive)
        if best != decisive:
            folded = [line for old in folded if (line := [place for place in old if place != best])]
            folded.insert(1, [best])
        shown = folded[:SHOWN_MATCHES]
        status = found.statuses[one]
        yield FilterRow(
            name=representation.names[one],
            pwm=np.round(bank.pwms[i], 4).tolist(),
            trim=trim_bounds(bank.pwms[i]),
            n_sites=int(bank.n_sites[i]),
            fraction_firing=round(float(bank.fraction_firing[i]), 5),
            maximum=_short(bank.maximum[i]),
            status=status if status in (DEAD, NO_INFORMATION) else ACTIVE,
            matches=tuple(_match_row(found, representation, line) for line in shown),
            n_more=sum(map(len, folded[SHOWN_MATCHES:])),
            more=_members(found, [place for line in folded[SHOWN_MATCHES:] for place in line]),
            extent=representation.extent[one],
            coverage=round(float(assignment.coverage[one]), 4) if folded else None,
            true=assignment.labels[one],
            group=int(groups[one]) + 1 if groups[one] >= 0 else None,
            importance=_short(importance.effect[one]) if importance else None,
            correlation=_short(importance.correlation[one]) if importance else None,
            speaks_for=tuple(outputs[one]),
            kernel=None if bank.kernels is None else _short(bank.kernels[i]),
            sites=_sites_row(bank, i),
            p_chance=_short(p_chance[one]),
            fdr=_short(fdr[one]),
            called=None if called is None or np.isnan(fdr[one]) else called[one],
            planted=_planted_rows(planted, representation.names[one]),
            partner=_partner_row(planted, representation.names[one]),
        )


def _planted_rows(planted: Planted | None, name: str) -> tuple[PlantedRow, ...]:
    if planted is None or name not in planted.names:
        return ()
    one = planted.names.index(name)
    # A page of hundreds of filters and outputs holds the plainest way alone; all are in planted.tsv.
    ways = WAYS if planted.change.size <= MOST_PLANTED else WAYS[:1]
    fits = ~np.isnan(planted.change[one]).all(axis=1)
    change, error = _short(planted.change[one]), _short(planted.error[one])
    return tuple(
        PlantedRow(way.form, way.place, way.orientation, way.copies, change[j], error[j])
        for j, way in enumerate(ways)
        if fits[j]
    )


def _partner_row(planted: Planted | None, name: str) -> PartnerRow | None:
    best = planted.partner(name) if planted is not None else None
    if planted is None or best is None:
        return None
    one, output = best
    values = _short(one.interaction[:, output]), _short(one.error[:, output])
    return PartnerRow(one.second, planted.outputs[output], one.orientation, tuple(one.distances), *values)


def _sites_row(bank: FilterPWMs, i: int) -> SitesRow | None:
    heights, sample = bank.heights, bank.sample
    if heights is None or sample is None or not bank.n_sites[i]:
        return None
    own = np.flatnonzero(sample.filter == i)
    columns = sample.name[own], sample.start[own].tolist(), sample.letters[own].astype(str).tolist()
    return SitesRow(
        heights=np.trim_zeros(heights.counts[i], "b"),
        bin_width=float(heights.width[i]),
        level=_short(bank.level[i]),
        places=sample.places[i],
        examples=tuple(zip(*columns, _short(sample.value[own]), strict=True)),
    )


def _match_row(found: Matches, representation: Representation, line: Sequence[int]) -> MatchRow:
    """Describe the first of some matches of one family, and name the others."""
    hit = found.hits[line[0]]
    target, query = found.database.motifs[hit["target"]], found.queries[hit["query"]]
    offset, orientation, known = int(hit["offset"]), str(hit["orientation"]), representation.known
    # With the digits of tomtom.tsv, so that a run that read the table gives the same report.
    e_value, q_value, p_value = (float(f"{hit[name]:.6g}") for name in ("e_value", "q_value", "p_value"))
    return MatchRow(
        target_id=target.name,
        name=target.alt_name or target.name,
        e_value=e_value,
        q_value=q_value,
        p_value=p_value,
        offset=offset,
        orientation=orientation,
        overlap=int(hit["overlap"]),
        pwm=np.round(target.pwm, 4).tolist(),
        family="::".join(target.tf_family),
        tf_class="::".join(target.tf_class),
        database=found.database.release or found.database.name,
        coverage=round(coverage(query.pwm, target.pwm, offset, orientation), 4),
        true=known.of_target[hit["target"]] if known else None,
        members=_members(found, line[1:]),
    )


def _members(found: Matches, places: Sequence[int]) -> tuple[FamilyMember, ...]:
    return tuple(
        FamilyMember(one.name, one.alt_name or one.name, float(f"{found.hits['e_value'][place]:.6g}"))
        for place in places
        for one in (found.database.motifs[found.hits["target"][place]],)
    )


def _metrics(representation: Representation) -> Iterator[Metric]:
    shuffled, untrained = representation.shuffled, representation.untrained
    for key, value in representation.metrics.items():
        kind, nulls = METRICS[key], []
        if shuffled is not None:
            mean, sd = shuffled.mean.get(key), shuffled.sd.get(key, 0.0)
            nulls.append(None if mean is None else (_short(mean), _short(max(0.0, mean - sd)), _short(mean + sd)))
        if untrained is not None:
            nulls.append(None if key not in untrained else (_short(untrained[key]), None, None))
        yield Metric(key, kind.name, _short(value), kind.explanation, kind.style, representation.of(key), tuple(nulls))


def _nulls(representation: Representation) -> Iterator[NullModel]:
    if representation.shuffled is not None:
        draws = representation.shuffled.draws
        error = (0.05 * 0.95 / draws) ** 0.5  # of a share of that many draws
        yield NullModel(
            SHUFFLED,
            "The columns of every trimmed filter in random order, matched in the same way; "
            "mean and one standard deviation either way. Each filter is judged by its own shuffles, too: its chance "
            f"is a multiple of 1/{draws + 1:,}, with a standard error of {error:.2f} where it is 0.05.",
            draws,
        )
    if representation.untrained is not None:
        yield NullModel(
            UNTRAINED,
            "The same architecture with fresh random weights, run over the same sequences, "
            "its filters found and matched in the same way.",
        )


def _chance_targets(found: Matches) -> Iterator[ChanceTarget]:
    targets = {} if found.chance is None else found.chance.targets
    names = dict(zip(found.database.target_names, found.database, strict=True))
    # Each of 1,000 motifs would take a thousandth of them.
    for name, share in list(targets.items())[:MOST_GREEDY]:
        if share >= GREEDY:
            motif = names[name]
            yield ChanceTarget(motif.name, motif.alt_name or name, round(share, 4), found.database.release)


def _groups(representation: Representation, found: Matches) -> Iterator[FilterGroup]:
    names, assignment = representation.names, representation.assignment
    for number, group in enumerate(representation.similar.groups, 1):
        # Called by the label that most of its filters have; without any, by the best match of the clearest filter.
        labels = [label for member in group if (label := assignment.labels[member.filter])]
        label = max(dict.fromkeys(labels), key=labels.count, default="")
        best = [place for member in group if (place := assignment.decisive[member.filter]) >= 0]
        if not label and best:
            target = found.database.motifs[found.hits["target"][best[0]]]
            label = target.alt_name or target.name
        yield FilterGroup(
            number,
            tuple(GroupMember(names[member.filter], member.offset, member.orientation) for member in group),
            label,
        )


def _heat_maps(found: Importance) -> Iterator[HeatMap]:
    yield HeatMap(
        "Importance",
        _short(found.effect),
        (
            f"How much the filter raises each output (above 0) or lowers it: the mean fall of the output, over "
            f"{found.n_replaced:,} sequences, when all activations of the filter are set to their mean over the data."
        ),
    )
    yield HeatMap(
        "Absolute change",
        _short(found.change),
        ("Mean absolute change of each output in the same test: its size, whichever way it goes."),
    )
    yield HeatMap(
        "Correlation",
        _short(found.correlation),
        (
            f"Pearson correlation, over {found.n_sequences:,} sequences, of the filter's largest activation in a "
            "sequence with each output."
        ),
    )
    if found.label_correlation is not None and len(found.labels) == len(found.outputs):
        yield HeatMap(
            "Correlation with labels",
            _short(found.label_correlation),
            (
                "The same with the labels of the data: " + ", ".join(found.labels)
                if found.labels != found.outputs
                else "The same with the labels of the data instead of the network's predictions."
            ),
        )


def _known_motif_rows(representation: Representation, known: KnownMotifs) -> Iterator[KnownMotifRow]:
    assignment = representation.assignment
    for label, targets in known.labels.items():
        own = [i for i, found in enumerate(assignment.labels) if found == label]
        yield KnownMotifRow(
            label,
            targets,
            tuple(representation.names[i] for i in own),
            round(float(max(assignment.coverage[own])), 4) if own else None,
        )


def _citations(own: Citation | None, kipoi: bool, release: str) -> Iterator[Citation]:
    if own is not None and own.url != PAPER.url:  # our own models ask for the paper, which comes next
        yield own
    yield PAPER
    yield TOMTOM
    for name in filter(None, release.split(", ")):
        text, doi = JASPAR.get(name, (f"{name}, from jaspar.elixir.no", ""))
        yield Citation(text, name, f"https://doi.org/{doi}" if doi else "https://jaspar.elixir.no")
    if kipoi:
        yield KIPOI


def _short(values: npt.ArrayLike):
    """Numbers with four significant digits, which is more than a page shows; NaN stays (a report holds it as None)."""
    array = np.asarray(values, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.floor(np.log10(np.abs(array)))
        scale = 10.0 ** np.clip(3 - np.where(np.isfinite(power), power, 0), -300, 300)
        return (np.round(array * scale) / scale).tolist()
