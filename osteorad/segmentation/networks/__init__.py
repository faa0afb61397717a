"""The networks: a registry by name, our own, and those taken from MONAI."""
