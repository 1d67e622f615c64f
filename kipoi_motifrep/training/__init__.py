"""The paper's networks trained and measured: architectures, sweeps of runs, the scan with known motifs, experiments."""
