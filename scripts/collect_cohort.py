from pathlib import Path

from osteorad import joblog
from osteorad.cohort.collect import collect_cohort
from osteorad.files import read_json

joblog.start(snakemake.log[0])
people = read_json(snakemake.input.patients)
collect_cohort(
    cohort=snakemake.wildcards.cohort,
    patients=people["patients"],
    withdrawn=people["withdrawn"],
    dicom_manifests=[Path(p) for p in (*snakemake.input.unplaced, *snakemake.input.dicom, *snakemake.input.contours)],
    images=[Path(p) for p in snakemake.input.images],
    masks=[Path(p) for p in snakemake.input.masks],
    clinical=Path(snakemake.input.clinical[0]) if snakemake.input.clinical else None,
    lesions=Path(snakemake.input.lesions[0]) if snakemake.input.lesions else None,
    exclude=dict(snakemake.params.exclude),
    modalities=list(snakemake.params.modalities),
    out_patients=Path(snakemake.output.patients),
    out_series=Path(snakemake.output.series),
    out_quarantine=Path(snakemake.output.quarantine),
    out_flow=Path(snakemake.output.flow),
)
