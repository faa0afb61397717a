from pathlib import Path

from osteorad import joblog
from osteorad.cohort.collect import collect_cohort
from osteorad.files import read_json

joblog.start(snakemake.log[0], snakemake.input.key)
people = read_json(snakemake.input.patients)
collect_cohort(
    cohort=snakemake.wildcards.cohort,
    patients=people["patients"],
    withdrawn=people["withdrawn"],
    dicom_manifests=[
        *map(Path, snakemake.input.unplaced),
        *(Path(p) / name for name in ("images.json", "contours.json") for p in snakemake.params.dicom),
    ],
    images=[Path(p) for p in snakemake.params.images],
    masks=[Path(p) for p in snakemake.input.masks],
    clinical=Path(snakemake.input.clinical[0]) if snakemake.input.clinical else None,
    lesions=Path(snakemake.input.lesions[0]) if snakemake.input.lesions else None,
    exclude=dict(snakemake.params.exclude),
    modalities=list(snakemake.params.modalities),
    rejected=snakemake.params.rejected,
    out_patients=Path(snakemake.output.patients),
    out_series=Path(snakemake.output.series),
    out_quarantine=Path(snakemake.output.quarantine),
    out_flow=Path(snakemake.output.flow),
)
