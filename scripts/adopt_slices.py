from pathlib import Path

from osteorad import joblog
from osteorad.cohort import slice_source
from osteorad.cohort.config import Slices
from osteorad.images.job_slices import adopt_slices

joblog.start(snakemake.log[0], snakemake.input.key)
settings, state = Slices.model_validate(snakemake.params.settings), Path(snakemake.params.state)
hashes = adopt_slices(
    slice_source.of_patient(state, settings, snakemake.wildcards.patient),
    Path(settings.path),
    cohort=snakemake.wildcards.cohort,
    patient=snakemake.wildcards.patient,
    out_images=Path(snakemake.output.images),
    out_masks=Path(snakemake.output.masks),
    out_pictures=Path(snakemake.output.pictures),
    out_contours=Path(snakemake.output.contours),
)
slice_source.record_hashes(state, snakemake.wildcards.patient, hashes)
