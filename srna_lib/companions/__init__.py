"""Door of companions: four published neighbours of the paper, at work on small RNAs (notebooks 09 to 12)."""
