"""Volumes and masks on grids, resampling, PET onto CT, fusion."""
