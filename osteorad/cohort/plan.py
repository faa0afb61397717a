"""What a configuration asks for: patients, paths and parameters of every rule, as plain data.

Rules stay free of logic: their input functions and params are one call into a Plan. Light: Snakemake loads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from osteorad import __version__
from osteorad.cohort import key_settings
from osteorad.cohort.config import TABLE, Cohort, Config
from osteorad.cohort.load import Loaded, load
from osteorad.cohort.pseudonyms import PHANTOM_KEY, patient_pseudonym, phantom_patient_ids
from osteorad.cohort.recipe import SHUFFLED, Recipe
from osteorad.cohort.searched import SUMMARY
from osteorad.cohort.segmentation import SegmentationRecipe
from osteorad.cohort.sources import Source, read_withdrawn, source_of
from osteorad.cohort.whole import COHORTS, whole_patients
from osteorad.provenance import used_versions

PRIVACY = {
    "dicom": "Pseudonymised under PS3.15 with a key kept apart: who holds the key can find the patients again.",
    "deidentified": "The images came here pseudonymised; this workflow holds no key to them.",
    "phantom": "Digital patients: nobody's data.",
    "slices": "The slices came here as pictures, under pseudonyms that were given before; this workflow holds no key.",
    "table": "The feature table came here pseudonymised; this workflow holds no key to it.",
}
HEADS = {
    "keep": "Heads are kept: where one was scanned, the images show a face, which can be matched with photographs.",
    "blank": "Heads are blanked: slices above the neck hold no anatomy; what could not be judged was held back.",
    "quarantine": "Series that show a head, or that could not be judged, were held back.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Settings and sources of one working folder."""

    loaded: Loaded
    sources: Mapping[str, Source]

    @property
    def config(self) -> Config:
        """The checked settings."""
        return self.loaded.config

    @property
    def recipes(self) -> Mapping[str, Recipe]:
        """Analysis -> its recipe with the overrides applied."""
        return self.loaded.recipes

    # --- cohorts -----------------------------------------------------------------------------------------------------

    def cohorts_from(self, *sources: str) -> list[str]:
        """Names of the cohorts that come from one of these kinds of source."""
        return sorted(name for name, cohort in self.config.cohorts.items() if cohort.source in sources)

    def ingested_from(self, *sources: str) -> list[str]:
        """Those of them that are ingested here, not moved here whole from another site."""
        return [name for name in self.cohorts_from(*sources) if not self.loaded.whole(name)]

    def phantom_ids(self, cohort: str) -> dict[str, int]:
        """Pseudonym -> number of a phantom cohort's patients; known before any file exists."""
        settings = self.config.cohorts[cohort].phantom
        return {} if settings is None else _phantom_numbers(settings.seed, settings.patients)

    def phantom_patients(self, cohort: str) -> list[str]:
        """Patients of a phantom cohort but those who withdrew, sorted; empty for other cohorts."""
        return sorted(self.phantom_ids(cohort).keys() - self.withdrawn(cohort))

    def patients_without_source(self, cohort: str) -> list[str]:
        """Patients of a cohort that no source folder is read for: phantoms, feature tables, moved cohorts."""
        if self.loaded.whole(cohort):
            return sorted(set(whole_patients(self.loaded.path(f"{COHORTS}/{cohort}"))) - self.withdrawn(cohort))
        return self.phantom_patients(cohort)

    def withdrawn(self, cohort: str) -> frozenset[str]:
        """Pseudonyms of those who withdrew."""
        return read_withdrawn(self.loaded.state(cohort))

    def state_folder(self, cohort: str) -> str:
        """Where the state of a cohort lies, relative to the working folder where it is below it."""
        return self._shown(self.loaded.state(cohort))

    def phantom_number(self, cohort: str, patient: str) -> int:
        """Number of a phantom patient."""
        return self.phantom_ids(cohort)[patient]

    def phantom_settings(self, cohort: str) -> dict[str, Any]:
        """Settings of a phantom cohort, and its name."""
        settings = self.config.cohorts[cohort].phantom
        assert settings is not None
        return {"cohort": cohort, **settings.model_dump(mode="json")}

    def source_params(self, cohort: str) -> dict[str, str]:
        """What a job needs to find a cohort's files, as text."""
        settings = self.config.cohorts[cohort]
        return {
            "cohort": cohort,
            "kind": settings.source,
            "path": settings.path or "",
            "private_dir": self.config.private_dir,
        }

    def _private(self, cohort: str, name: str) -> str:
        return f"{self.config.private_dir}/{cohort}/{name}"

    def state_file(self, cohort: str, patient: str) -> str:
        """State of one patient of a source folder, relative to the working folder where it lies below it."""
        return self._shown(self.sources[cohort].state / "state" / f"{patient}.json")

    def judged_images(self, cohort: str, patient: str) -> list[str]:
        """The manifest that tells where a patient's neck is, where the cohort lets no head pass."""
        if self.config.cohorts[cohort].head in (None, "keep"):
            return []
        return [f"results/cohorts/{cohort}/dicom/{patient}/images.json"]

    def unplaced(self, cohort: str) -> list[str]:
        """The manifest of files that belong to no patient; none for phantoms."""
        return [] if self.config.cohorts[cohort].phantom else [f"{COHORTS}/{cohort}/unplaced.json"]

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self.loaded.workdir)) if path.is_relative_to(self.loaded.workdir) else str(path)

    def clinical_table(self, cohort: str) -> str:
        """Path of the clinical table: the phantom's own, or the configured one."""
        if cohort not in self.sources:
            return self._private(cohort, "source/clinical.tsv")
        table = self.config.cohorts[cohort].clinical
        assert table is not None
        return table.path

    def clinical_settings(self, cohort: str) -> dict[str, Any]:
        """Settings of the clinical table."""
        table = self.config.cohorts[cohort].clinical
        assert table is not None
        return table.model_dump(mode="json")

    def clinical(self, cohort: str) -> list[str]:
        """The pseudonymous clinical table, where the cohort has one."""
        settings = self.config.cohorts[cohort]
        return [f"results/cohorts/{cohort}/clinical.parquet"] if settings.clinical or settings.table else []

    def feature_table(self, cohort: str) -> str:
        """Path of a cohort's feature table."""
        table = self.config.cohorts[cohort].table
        assert table is not None
        return table.path

    def table_settings(self, cohort: str) -> dict[str, Any]:
        """Settings of a cohort's feature table."""
        table = self.config.cohorts[cohort].table
        assert table is not None
        return table.model_dump(mode="json")

    def slice_settings(self, cohort: str) -> dict[str, Any]:
        """Settings of a cohort of slices."""
        settings = self.config.cohorts[cohort].slices
        assert settings is not None
        return settings.model_dump(mode="json")

    def lesion_table(self, cohort: str) -> str:
        """Path of the table of lesions: the phantom's own, or the configured one."""
        if cohort not in self.sources:
            return self._private(cohort, "source/lesions.tsv")
        table = self.config.cohorts[cohort].lesions
        assert table is not None
        return table.path

    def lesion_settings(self, cohort: str) -> dict[str, Any]:
        """Settings of the table of lesions."""
        table = self.config.cohorts[cohort].lesions
        assert table is not None
        return table.model_dump(mode="json")

    def lesions(self, cohort: str, name: str) -> list[str]:
        """A file that the table of lesions becomes, where the cohort has one; a feature table's rows are lesions."""
        settings = self.config.cohorts[cohort]
        return [f"results/cohorts/{cohort}/{name}"] if settings.lesions or settings.table else []

    def contour_names(self, cohort: str, patients: Sequence[str]) -> list[str]:
        """Private files of the contours' own names; none where the objects keep theirs."""
        if self.config.cohorts[cohort].source == "deidentified":
            return []
        return [self._private(cohort, f"contours/{patient}.json") for patient in patients]

    def series_table(self, cohort: str) -> list[str]:
        """The table that overrides the choice of series, where there is one."""
        table = self.config.cohorts[cohort].series
        return [table] if table else []

    def contour_folder(self, cohort: str, mask_set: str, patient: str) -> str:
        """Folder of mask files that people drew for one patient."""
        if cohort not in self.sources:
            return self._private(cohort, f"source/{patient}/masks" + ("" if mask_set == "manual" else f"-{mask_set}"))
        return f"contours/{mask_set}/{patient}"

    def contour_files(self, cohort: str, mask_set: str, patient: str) -> list[str]:
        """Those mask files, as inputs; a phantom's come with its manifest."""
        if cohort not in self.sources:
            return [self._private(cohort, f"source/{patient}/manifest.json")]
        folder = self.loaded.workdir / f"contours/{mask_set}/{patient}"
        files = (p for p in folder.rglob("*") if p.is_file())
        return sorted(self._shown(p) for p in files if not _hidden(p.relative_to(folder)))

    def manual_files(self, cohort: str, patients: Sequence[str]) -> list[str]:
        """Mask files of the set `manual` of all patients."""
        return sorted({file for patient in patients for file in self.contour_files(cohort, "manual", patient)})

    def cohort_page(self, cohort: str) -> dict[str, Any]:
        """What the cohort page says of its settings, and versions."""
        settings = self.config.cohorts[cohort]
        wanted = {"modalities", "rois", "kernel", "head", "exclude", "phantom"}
        if settings.source == TABLE:
            wanted = {"table", "exclude"}
        if settings.slices is not None:
            wanted = {"slices", "exclude"}
        return {
            "title": settings.title,
            "source": settings.source,
            "cutoff": settings.cutoff,
            "citation": settings.citation,
            "max_quarantined": settings.max_quarantined,
            "privacy": " ".join(filter(None, [PRIVACY[settings.source], self._heads(settings)])),
            "settings": settings.model_dump(mode="json", include=wanted, exclude_none=True),
            "versions": self.versions("deidentify_images", "convert_images", "extract_features"),
        }

    def privacy_page(self, cohort: str) -> dict[str, Any]:
        """What the privacy page says of a cohort's settings; a cohort that says nothing of heads keeps them."""
        settings = self.config.cohorts[cohort]
        told = settings.model_dump(mode="json")
        return {
            "title": settings.title,
            "source": settings.source,
            "head": told.get("head") or "keep",
            "keep": list(settings.covariates),
        }

    def search(self, cohort: str) -> list[str]:
        """What the last search for leaks left for the privacy page, where there was one."""
        path = self._private(cohort, SUMMARY)
        return [path] if (self.loaded.workdir / path).is_file() else []

    def _heads(self, settings: Cohort) -> str:
        """What the cohort page says of faces; nothing where there is nobody's."""
        return HEADS[settings.head] if settings.head is not None and settings.source != "phantom" else ""

    def page_features(self, cohort: str, name: str) -> str:
        """A feature table that the cohort page describes: the lesion table, or the cohort's own."""
        preset = TABLE if self.config.cohorts[cohort].source == TABLE else "lesion-table"
        return f"results/cohorts/{cohort}/features/{preset}/manual/{name}"

    # --- features ----------------------------------------------------------------------------------------------------

    def rois(self, cohort: str, preset: str) -> list[str]:
        """ROIs whose features are extracted under a preset."""
        return key_settings.asked_rois(self.config, self.recipes, cohort, preset)

    def images(self, cohort: str, preset: str) -> list[str]:
        """Images whose features are extracted under a preset."""
        return key_settings.asked_images(self.config, self.recipes, cohort, preset)

    def grids(self, cohort: str, preset: str, patient: str) -> list[str]:
        """Grid manifests that a preset's images need."""
        needed = ["fused"] if "fused" in self.images(cohort, preset) else []
        return [f"results/cohorts/{cohort}/grids/{grid}/{patient}/grid.json" for grid in needed]

    # --- analyses ----------------------------------------------------------------------------------------------------

    def of_cohort(self, analysis: str, name: str) -> str:
        """A file of the analysis' cohort."""
        return f"results/cohorts/{self.config.analyses[analysis].cohort}/{name}"

    def features(self, analysis: str, name: str) -> str:
        """A feature table of the analysis' cohort, preset and mask set; the reader's, where networks draw in folds."""
        recipe = self.recipes[analysis]
        return self.of_cohort(analysis, f"features/{recipe.preset}/{recipe.reference_set}/{name}")

    def second_features(self, analysis: str) -> list[str]:
        """The feature table of a second reader's contours, where the recipe asks for one.

        Where networks draw in folds, that reader's features are the samples' own already.
        """
        recipe = self.recipes[analysis]
        if recipe.segmentation is not None:
            return []
        name = f"features/{recipe.preset}/{recipe.second_set}/features.parquet"
        return [self.of_cohort(analysis, name)] if recipe.second_set else []

    def shuffled_features(self, analysis: str) -> list[str]:
        """The feature table of shuffled voxels, where the recipe asks for that control."""
        recipe = self.recipes[analysis]
        name = f"features/{recipe.preset}-{SHUFFLED}/{recipe.mask_set}/features.parquet"
        return [self.of_cohort(analysis, name)] if recipe.controls.shuffled else []

    def mask_sets(self, cohort: str) -> list[str]:
        """Mask sets that the cohort page and the active analyses of a cohort read."""
        asked = [name for name in self.loaded.targets[1] if self.config.analyses[name].cohort == cohort]
        sets = {drawn for name in asked if name in self.recipes for drawn in self.recipes[name].drawn_sets}
        networks = key_settings.networks_of(self.recipes, self.loaded.segmentations)
        return sorted({"manual"} | sets | {networks[name].mask_set for name in asked if name in networks})

    def all_masks(self, cohort: str, patients: Sequence[str]) -> list[str]:
        """Manifests of masks of all patients and mask sets."""
        base = f"results/cohorts/{cohort}/masks"
        return [f"{base}/{mask_set}/{p}/masks.json" for mask_set in self.mask_sets(cohort) for p in patients]

    def review(self, cohort: str) -> list[str]:
        """The state of the review, where there are images and masks to judge."""
        return [] if self.config.cohorts[cohort].source == TABLE else [f"results/cohorts/{cohort}/review.json"]

    def lesion_outcomes(self, analysis: str) -> list[str]:
        """What the table of lesions tells, where a sample is a lesion and the cohort has such a table."""
        if self.recipes[analysis].unit != "lesion":
            return []
        return self.lesions(self.config.analyses[analysis].cohort, "lesions.parquet")

    def truth(self, analysis: str) -> list[str]:
        """What a phantom's generator states about the outcome that it made, where the analysis asks for that one."""
        settings = self.config.analyses[analysis]
        made = settings.outcome == "outcome" and self.recipes[analysis].outcome_of == "patient"
        if self.config.cohorts[settings.cohort].phantom is None or not made:
            return []
        return [f"results/cohorts/{settings.cohort}/phantom.json"]

    def analysis_params(self, analysis: str) -> dict[str, Any]:
        """Settings of an analysis and its recipe with overrides applied, for a job."""
        settings = self.config.analyses[analysis]
        return {
            "name": analysis,
            "settings": settings.model_dump(mode="json"),
            "recipe": self.recipes[analysis].model_dump(mode="json"),
            "as_published": key_settings.as_published(self.config, self.recipes, analysis),
            "max_quarantined": self.config.cohorts[settings.cohort].max_quarantined,
        }

    def analysis_page(self, analysis: str) -> dict[str, Any]:
        """What the analysis page says of its settings, the recipe as written, and versions."""
        page = self.page_of(analysis, self.recipes[analysis])
        return {**page, "versions": self.versions("extract_features", "fit_models", "convert_images")}

    def page_of(self, analysis: str, recipe: Recipe | SegmentationRecipe) -> dict[str, Any]:
        """What every page of an analysis says of its settings, and the recipe as written."""
        settings = self.config.analyses[analysis]
        cohort = self.config.cohorts[settings.cohort]
        written = yaml.safe_load(
            (self.loaded.root / f"resources/recipes/{settings.recipe}.yaml").read_text(encoding="utf-8")
        )
        shown = {"cutoff": cohort.cutoff, "citation": cohort.citation}
        return {
            "analysis": {"name": analysis, **settings.model_dump(mode="json", exclude={"overrides"}), **shown},
            "recipe": recipe.model_dump(mode="json"),
            "written": type(recipe).model_validate(written).model_dump(mode="json"),
            "overrides": dict(settings.overrides),
        }

    # --- external validation -----------------------------------------------------------------------------------------

    def analyses_of(self, bundle: bool) -> list[str]:
        """Names of the outcome analyses that apply a frozen bundle, or of those that learn."""
        return sorted(name for name in self.recipes if (self.config.analyses[name].bundle is not None) == bundle)

    def bundle(self, analysis: str) -> str:
        """The bundle that an external validation applies: another analysis', or that of a folder."""
        named = self.config.analyses[analysis].bundle
        assert named is not None
        return (
            f"results/analyses/{named}/bundle/bundle.json" if named in self.config.analyses else f"{named}/bundle.json"
        )

    def external_page(self, analysis: str) -> dict[str, Any]:
        """What the page of an external validation says of its settings, and versions."""
        page = self.analysis_page(analysis)
        page["versions"] = self.versions("extract_features", "apply_bundle", "convert_images")
        return {name: page[name] for name in ("analysis", "recipe", "versions")}

    def versions(self, *rules: str) -> dict[str, str]:
        """Versions of this package and of the libraries that these rules import."""
        found = {"osteorad": __version__}
        for rule in rules:
            found |= used_versions(self.loaded.root, f"scripts/{rule}.py")
        return dict(sorted(found.items()))

    # --- targets -----------------------------------------------------------------------------------------------------

    def cohort_reports(self) -> list[str]:
        """report.json of every active cohort."""
        return [f"results/cohorts/{name}/report.json" for name in self.loaded.targets[0]]

    def analysis_reports(self) -> list[str]:
        """report.json of every active analysis."""
        return [f"results/analyses/{name}/report.json" for name in self.loaded.targets[1]]

    def targets(self, patients: Mapping[str, Sequence[str]]) -> list[str]:
        """Every page, grids, and each manifest that is gone, so that a deleted one is made again.

        Other manifests are inputs of the pages anyway, and so are all of a cohort of which nothing is there yet:
        naming them again would only cost time.
        """
        reports = [*self.cohort_reports(), *self.analysis_reports()]
        reports += [path for cohort in self.loaded.targets[0] for path in self.review(cohort)]
        wanted = ["results/index.html", *reports, *(f"{name.removesuffix('.json')}.html" for name in reports)]
        for cohort in self.loaded.targets[0]:
            wanted.append(f"results/cohorts/{cohort}/parts/parts.json")
            if self.config.cohorts[cohort].source != TABLE:
                wanted += [f"results/cohorts/{cohort}/privacy.{kind}" for kind in ("html", "json")]
            if (self.loaded.workdir / f"results/cohorts/{cohort}").exists():
                wanted += [
                    p for p in self._manifests(cohort, patients[cohort]) if not Path(self.loaded.workdir, p).exists()
                ]
            if "PT" in self.config.cohorts[cohort].modalities:
                wanted += [f"results/cohorts/{cohort}/grids/fused/{p}/grid.json" for p in patients[cohort]]
        return wanted

    def _manifests(self, cohort: str, patients: Sequence[str]) -> list[str]:
        """Manifests on the way to a cohort's page and to the features of its analyses."""
        base = f"results/cohorts/{cohort}"
        patterns = ["dicom/{}/images.json", "dicom/{}/contours.json", "images/{}/images.json"]
        patterns += [f"masks/{mask_set}/{{}}/masks.json" for mask_set in self.mask_sets(cohort)]
        return [f"{base}/{pattern.format(patient)}" for patient in patients for pattern in patterns]


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


@cache
def _phantom_numbers(seed: int, patients: int) -> dict[str, int]:
    ids = phantom_patient_ids(seed, patients)
    return {patient_pseudonym(PHANTOM_KEY, source_id): number for number, source_id in enumerate(ids, 1)}


def load_plan(workdir: Path, root: Path) -> Plan:
    """Read and check the settings of a working folder; ConfigError with every problem found."""
    loaded = load(workdir, root)
    sources = {
        name: source_of(
            name,
            kind=cohort.source,
            path=cohort.path,
            workdir=workdir,
            private_dir=loaded.config.private_dir,
            slices=cohort.slices,
        )
        for name, cohort in loaded.config.cohorts.items()
        if cohort.source not in ("phantom", TABLE) and not loaded.whole(name)
    }
    return Plan(loaded=loaded, sources=sources)
