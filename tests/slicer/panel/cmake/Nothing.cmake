# Packing is Slicer's.
