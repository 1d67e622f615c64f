"""Interval arithmetic base by base, with sets."""


def merged(intervals):
    """(chromosome, start, end) of every stretch of covered bases."""
    covered = {(chromosome, base) for chromosome, start, end in intervals for base in range(start, end)}
    starts = sorted((chromosome, base) for chromosome, base in covered if (chromosome, base - 1) not in covered)
    ends = sorted((chromosome, base + 1) for chromosome, base in covered if (chromosome, base + 1) not in covered)
    return [(chromosome, start, end) for (chromosome, start), (_, end) in zip(starts, ends, strict=True)]


def shared_bases(intervals, width):
    """{(bin, interval): bases} of all pairs that share any."""
    counts = {}
    for i, (start, end) in enumerate(intervals):
        for base in range(start, end):
            pair = base // width, i
            counts[pair] = counts.get(pair, 0) + 1
    return counts


def touched(windows, regions):
    """Whether each window shares a base with any region."""
    bad = {base for start, end in regions for base in range(start, end)}
    return [not bad.isdisjoint(range(start, end)) for start, end in windows]


def labelled_windows(peaks, lengths, rule, blacklist=()):
    """{(chromosome, start): labels} of all windows, positive or not, by counting bases one by one."""
    found = {}
    for chromosome, length in lengths.items():
        bad = {base for where, start, end in blacklist if where == chromosome for base in range(start, end)}
        for bin_start in range(0, length - rule.bin + 1, rule.bin):
            bases = set(range(bin_start, bin_start + rule.bin))
            start = bin_start + rule.bin // 2 - rule.window // 2
            if start < 0 or start + rule.window > length or bad & set(range(start, start + rule.window)):
                continue
            found[chromosome, start] = [
                int(
                    any(
                        where == chromosome and len(bases & set(range(*peak))) > rule.fraction * rule.bin
                        for where, *peak in (merged(rows) if rule.merge else rows)
                    )
                )
                for rows in peaks.values()
            ]
    return found
