"""What the Vesalius module of 3D Slicer is made of; importing it does nothing."""
