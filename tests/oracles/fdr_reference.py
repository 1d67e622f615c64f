"""Target-decoy competition with several decoys, in plain loops (Emery et al. 2020, c = lambda = 1 / 21)."""

import math


def false_discovery_rates(rows, most=math.inf):
    """Rates of motifs, each a list of E-values: its own, then those of its decoys."""
    winners = []  # how far below the median, whether it is the motif, which motif
    for which, (own, *decoys) in enumerate(rows):
        ranked = sorted([own, *decoys])
        better = sum(decoy <= own for decoy in decoys)  # a tie is the decoy's
        n_winning = (1 + len(decoys)) // 21
        if better < n_winning:
            winner, is_motif = own, True
        else:
            # Losers in runs of twenty: the last run stands for the best decoy, the first for the last that wins.
            run = (better - n_winning) // 20
            winner, is_motif = ranked[n_winning - 1 - run], False
        middle = len(ranked) // 2
        median = ranked[middle] if len(ranked) % 2 else (ranked[middle - 1] + ranked[middle]) / 2
        if winner <= most:
            winners.append((math.log(median) - math.log(winner), is_motif, which))
    rates = [1.0] * len(rows)
    for score, is_motif, which in winners:
        if is_motif:
            for border, _, _ in winners:
                if border <= score:
                    n_motifs = sum(one and other >= border for other, one, _ in winners)
                    n_decoys = sum(not one and other >= border for other, one, _ in winners)
                    rates[which] = min(rates[which], (1 + n_decoys) / 20 / n_motifs)
    return rates
