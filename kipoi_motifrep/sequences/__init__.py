"""Reading DNA: letters, FASTA files, genomes, intervals, and Kipoi's loaders on top."""
