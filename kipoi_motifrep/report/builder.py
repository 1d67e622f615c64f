"""From figures to what the page shows: tables, the `Report`, and the sentence at its top."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kipoi_motifrep.core.outputs import write_json
from kipoi_motifrep.core.statuses import ACTIVE, DEAD, NO_INFORMATION
from kipoi_motifrep.core.tables import write_table
from kipoi_motifrep.filters import FilterPWMs
from kipoi_motifrep.motifs import trim_bounds
from kipoi_motifrep.motifs.matches import Matches
from kipoi_motifrep.report import schema as data
from kipoi_motifrep.representation import KnownMotifs, Representation, coverage
from kipoi_motifrep.representation.metrics import METRICS

SHOWN_MATCHES = 10  # of a filter; all are in tomtom.tsv
SHUFFLED = "shuffled columns"
UNTRAINED = "untrained network"
PAPER = data.Citation(
    "Koo PK, Eddy SR (2019) Representation learning of genomic sequence motifs with convolutional neural networks. "
    "PLOS Comput Biol 15(12):e1007560", "activation PWMs, whole and partial motifs",
    "https://doi.org/10.1371/journal.pcbi.1007560")
TOMTOM = data.Citation(
    "Gupta S, Stamatoyannopoulos JA, Bailey TL, Noble WS (2007) Quantifying similarity between motifs. "
    "Genome Biol 8:R24", "statistics of the matches", "https://doi.org/10.1186/gb-2007-8-2-r24")
KIPOI = data.Citation(
    "Avsec Z et al. (2019) The Kipoi repository accelerates community exchange and reuse of predictive models for "
    "genomics. Nat Biotechnol 37:592-600", "the model zoo", "https://doi.org/10.1038/s41587-019-0140-0")
JASPAR = {
    "JASPAR2014": ("Mathelier A et al. (2014) Nucleic Acids Res 42:D142-D147", "10.1093/nar/gkt997"),
    "JASPAR2016": ("Mathelier A et al. (2016) Nucleic Acids Res 44:D110-D115", "10.1093/nar/gkv1176"),
    "JASPAR2018": ("Khan A et al. (2018) Nucleic Acids Res 46:D260-D266", "10.1093/nar/gkx1126"),
    "JASPAR2020": ("Fornes O et al. (2020) Nucleic Acids Res 48:D87-D92", "10.1093/nar/gkz1001"),
    "JASPAR2022": ("Castro-Mondragon JA et al. (2022) Nucleic Acids Res 50:D165-D173", "10.1093/nar/gkab1113"),
    "JASPAR2024": ("Rauluseviciute I et al. (2024) Nucleic Acids Res 52:D174-D182", "10.1093/nar/gkad1059"),
}


@dataclass(frozen=True)
class Subject:
    """What was interpreted, in words.

    Parameters
    ----------
    name, source, sequences, description, url : str
        Of the model and of what went through it.
    found : str
        What was found where.
    first : bool
        Whether it is the first layer that was looked at.
    planted : bool
        Whether the motifs in the data were planted there.
    citation : Citation, optional
        The model's own.
    kipoi : bool
        Whether it is a Kipoi model.
    """

    name: str
    source: str
    sequences: str
    found: str
    first: bool = True
    planted: bool = False
    description: str = ""
    url: str = ""
    citation: data.Citation | None = None
    kipoi: bool = False


def sentence(name: str, representation: Representation, database: str, *, layer: str = "",
             planted: bool = False) -> str:
    """Say the figures in one plain sentence.

    Parameters
    ----------
    name : str
        Of the network.
    representation : Representation
        Its figures.
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
    figures, n = representation.metrics, len(representation.names)
    where = f"filters of layer {layer}" if layer else "first-layer filters"
    motif = "JASPAR motif" if database.startswith("JASPAR") else "known motif"
    matched = round(figures["matched"] * n)
    text = f"{name} is {representation.kind}: {matched:,} of {n:,} {where} match a {motif}"
    if representation.shuffled is not None:
        text += f" ({round(representation.shuffled.mean['matched'] * n):,} of {n:,} expected by chance)"
    if "true" in figures:
        text += (f", {round(figures['true'] * n):,} match a {'planted' if planted else 'known'} factor, covering "
                 f"{figures['labels']:.0f} of {len(representation.truth.labels)}")
    return f"{text}; on average a filter holds {100 * figures['index']:.0f} % of its motif."


def metrics_table(representation: Representation) -> list[tuple]:
    """Rows of ``representation.tsv``: each figure, what it is taken of, and by chance.

    Parameters
    ----------
    representation : Representation

    Returns
    -------
    list of tuple
        The header first.
    """
    rows: list[tuple] = [("figure", "value", "of", "shuffled_mean", "shuffled_sd", "untrained", "meaning")]
    shuffled, untrained = representation.shuffled, representation.untrained or {}
    mean, sd = ({}, {}) if shuffled is None else (shuffled.mean, shuffled.sd)
    for key, value in representation.metrics.items():
        numbers = (value, representation.of(key), mean.get(key), sd.get(key), untrained.get(key))
        rows.append((key, *map(_number, numbers), METRICS[key].explanation))
    return rows


def write_representation(representation: Representation, text: str, folder: str | os.PathLike) -> None:
    """Write ``representation.tsv`` and ``representation.json``.

    Parameters
    ----------
    representation : Representation
        Figures and filters.
    text : str
        The sentence.
    folder : str or path-like
        Where to.
    """
    assignment, shuffled = representation.assignment, representation.shuffled
    groups = representation.similar.group_of(len(representation.names))
    spoken = representation.importance.outputs_for() if representation.importance else ((),) * len(groups)
    filters = [{"name": name, "status": status, "coverage": float(covered), "extent": extent, "label": label,
                "label_of_best": best, "label_by_family": family, "group": int(group) + 1 if group >= 0 else None,
                "speaks_for": list(outputs)}
               for name, status, covered, extent, label, best, family, group, outputs in zip(
                   representation.names, representation.statuses, assignment.coverage, representation.extent,
                   assignment.labels, assignment.best_labels, assignment.family_labels or assignment.labels, groups,
                   spoken, strict=True)]
    write_json(Path(folder) / "representation.json", {
        "sentence": text, "representation": representation.kind, "figures": dict(representation.metrics),
        "of": {key: representation.of(key) for key in representation.metrics},
        "shuffled": None if shuffled is None else {"mean": dict(shuffled.mean), "sd": dict(shuffled.sd),
                                                   "draws": shuffled.draws},
        "untrained": representation.untrained, "filters": filters, "notes": list(representation.notes)})
    header, *rows = metrics_table(representation)
    write_table(Path(folder) / "representation.tsv", header, rows)


def build_report(subject: Subject, filters: Sequence[FilterPWMs], found: Matches, representation: Representation,
                 truth: KnownMotifs | None, parameters: Mapping[str, object], versions: Mapping[str, str],
                 created: str) -> data.Report:
    """Put everything into the form that the page is made from.

    Parameters
    ----------
    subject : Subject
        What was interpreted.
    filters : sequence of FilterPWMs
        One a bank.
    found : Matches
        Of the trimmed filters, in their order.
    representation : Representation
        Figures.
    truth : KnownMotifs, optional
        The motifs in the data.
    parameters, versions : mapping
        How it was computed.
    created : str
        When.

    Returns
    -------
    Report
    """
    importance, banks = representation.importance, [one.bank for one in filters]
    name = subject.name
    text = sentence(name, representation, found.database.name, planted=subject.planted,
                    layer="" if subject.first else ", ".join(bank.layer for bank in banks))
    network = data.NetworkSummary(
        name, sum(bank.n_filters for bank in banks), max(one.width for one in filters), subject.source,
        ", ".join(bank.layer for bank in banks), str(banks[0].layout), subject.sequences, filters[0].n_sequences,
        subject.found, subject.description, subject.url)
    return data.Report(
        network, tuple(_filter_rows(filters, found, representation)), text, tuple(_figures(representation)),
        tuple(_nulls(representation)), importance.outputs if importance else (), tuple(_groups(representation, found)),
        tuple(_heat_maps(representation)), _truth_rows(representation, truth),
        data.DatabaseSummary(found.database.name, found.database.release, len(found.database), found.database.digest),
        dict(parameters), dict(versions), tuple(_citations(subject, found)), representation.notes, created)


def _filter_rows(filters: Sequence[FilterPWMs], found: Matches, representation: Representation):
    places = [(bank, i) for bank in filters for i in range(len(bank))]
    assignment, importance = representation.assignment, representation.importance
    groups = representation.similar.group_of(len(places))
    spoken = importance.outputs_for() if importance else ((),) * len(places)
    hits: list[list[int]] = [[] for _ in places]
    for place, query in enumerate(found.hits["query"].tolist()):
        hits[query].append(place)
    for one, (bank, i) in enumerate(places):
        status = found.statuses[one]
        shown = hits[one][:SHOWN_MATCHES]
        if assignment.decisive[one] >= 0 and assignment.decisive[one] not in shown:
            shown.append(int(assignment.decisive[one]))
        matched = assignment.best[one] >= 0
        yield data.FilterRow(
            representation.names[one], np.round(bank.pwms[i], 4), trim_bounds(bank.pwms[i]), int(bank.n_sites[i]),
            round(float(bank.fraction_firing[i]), 5), _short(bank.maximum[i]),
            status if status in (DEAD, NO_INFORMATION) else ACTIVE,
            tuple(_match_row(found, representation, place) for place in shown), len(hits[one]) - len(shown),
            representation.extent[one], round(float(assignment.coverage[one]), 4) if matched else None,
            assignment.labels[one], int(groups[one]) + 1 if groups[one] >= 0 else None,
            _short(importance.signed_change[one]) if importance else None,
            _short(importance.correlation[one]) if importance else None, spoken[one],
            None if bank.kernels is None else _short(bank.kernels[i]))


def _match_row(found: Matches, representation: Representation, place: int) -> data.MatchRow:
    hit = found.hits[place]
    target = found.database.motifs[hit["target"]]
    covered = coverage(found.queries[hit["query"]].pwm, target.pwm, int(hit["offset"]), str(hit["orientation"]))
    truth = representation.truth
    return data.MatchRow(
        target.name, target.alt_name or target.name, *(float(f"{hit[name]:.6g}") for name in
                                                       ("e_value", "q_value", "p_value")),
        int(hit["offset"]), str(hit["orientation"]), int(hit["overlap"]), np.round(target.pwm, 4),
        "::".join(target.tf_family), "::".join(target.tf_class), found.database.release or found.database.name,
        round(covered, 4), truth.of_target[hit["target"]] if truth else None)


def _figures(representation: Representation):
    shuffled, untrained = representation.shuffled, representation.untrained
    for key, value in representation.metrics.items():
        kind, nulls = METRICS[key], []
        if shuffled is not None:
            mean, sd = shuffled.mean.get(key), shuffled.sd.get(key)
            nulls.append(None if mean is None else (_short(mean), _short(max(0.0, mean - sd)), _short(mean + sd)))
        if untrained is not None:
            nulls.append(None if key not in untrained else (_short(untrained[key]), None, None))
        yield data.Metric(key, kind.name, _short(value), kind.explanation, kind.style, representation.of(key),
                          tuple(nulls))


def _nulls(representation: Representation):
    if representation.shuffled is not None:
        yield data.NullModel(SHUFFLED, "The columns of every trimmed filter in random order, matched in the same way; "
                                  "mean and one standard deviation either way.", representation.shuffled.draws)
    if representation.untrained is not None:
        yield data.NullModel(UNTRAINED, "The same architecture with fresh random weights, run over the same sequences, "
                                   "its filters found and matched in the same way.")


def _groups(representation: Representation, found: Matches):
    names, assignment = representation.names, representation.assignment
    for number, group in enumerate(representation.similar.groups, 1):
        labels = [assignment.labels[member.filter] for member in group if assignment.labels[member.filter]]
        label = max(dict.fromkeys(labels), key=labels.count, default="")
        if not label:
            best = [found.database.motifs[found.hits["target"][assignment.best[member.filter]]]
                    for member in group if assignment.best[member.filter] >= 0]
            label = (best[0].alt_name or best[0].name) if best else ""
        yield data.FilterGroup(number, tuple(data.GroupMember(names[member.filter], member.offset, member.orientation)
                                       for member in group), label)


def _heat_maps(representation: Representation):
    found = representation.importance
    if found is None:
        return
    yield data.HeatMap("Importance", _short(found.signed_change), (
        f"Mean change of each output, over {found.n_replaced:,} sequences, when all activations of the filter are set "
        "to their mean over the data; below 0, the filter raises the output."))
    yield data.HeatMap("Absolute change", _short(found.change), (
        "Mean absolute change of each output in the same test: its size, whichever way it goes."))
    yield data.HeatMap("Correlation", _short(found.correlation), (
        f"Pearson correlation, over {found.n_sequences:,} sequences, of the filter's largest activation in a sequence "
        "with each output."))
    if found.label_correlation is not None and len(found.labels) == len(found.outputs):
        yield data.HeatMap("Correlation with labels", _short(found.label_correlation), (
            "The same with the labels of the data: " + ", ".join(found.labels) if found.labels != found.outputs
            else "The same with the labels of the data instead of the network's predictions."))


def _truth_rows(representation: Representation, truth: KnownMotifs | None):
    if truth is None or representation.truth is None:
        return None
    assignment = representation.assignment
    rows = []
    for label, targets in truth.labels.items():
        own = [i for i, found in enumerate(assignment.labels) if found == label]
        rows.append(data.KnownMotifRow(label, targets, tuple(representation.names[i] for i in own),
                                  round(float(max(assignment.coverage[own])), 4) if own else None))
    return tuple(rows)


def _citations(subject: Subject, found: Matches):
    if subject.citation is not None and subject.citation.url != PAPER.url:
        yield subject.citation
    yield PAPER
    yield TOMTOM
    for release in filter(None, found.database.release.split(", ")):
        text, doi = JASPAR.get(release, ("", ""))
        yield data.Citation(text or f"{release}, from jaspar.elixir.no", release,
                            f"https://doi.org/{doi}" if doi else "https://jaspar.elixir.no")
    if subject.kipoi:
        yield KIPOI


def _short(values):
    """Numbers with four significant digits, which is more than a page shows; NaN stays (a report holds it as None)."""
    array = np.asarray(values, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.floor(np.log10(np.abs(array)))
        scale = 10.0 ** np.clip(3 - np.where(np.isfinite(power), power, 0), -300, 300)
        return np.round(array * scale) / scale


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
