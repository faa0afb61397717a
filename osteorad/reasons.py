"""Reason codes: one short code and one sentence for everything that is set aside or doubtful.

The kind says what becomes of the thing (contract 7): `quarantined`, `not_chosen`, `duplicate`, `rejected`, `excluded`,
`censored`, `withdrawn` leave the flow; `missing` is a value that could not be computed; `flag` is doubtful but used;
`note` is a fact worth knowing.
"""

from __future__ import annotations

from dataclasses import dataclass

from osteorad.errors import unknown_name

SET_ASIDE = ("quarantined", "not_chosen", "duplicate", "rejected", "excluded", "censored", "withdrawn")
KINDS = (*SET_ASIDE, "missing", "flag", "note")


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason code: what becomes of the thing, and one sentence for the reader of a report."""

    code: str
    kind: str
    sentence: str


def _table(kind: str, **sentences: str) -> dict[str, Reason]:
    return {code: Reason(code, kind, sentence) for code, sentence in sentences.items()}


REASONS: dict[str, Reason] = {
    # files and objects of an export
    **_table(
        "quarantined",
        not_dicom="The file is not DICOM.",
        archive_packed="A packed file (zip, tar, gz, ...) that was not looked into: unpack it beside the others.",
        link_not_followed="A symbolic link, which is not followed: what it points at may be private, or there twice.",
        file_special="A pipe, socket or device, no file.",
        file_unreadable="The file cannot be opened, because of its rights or its disk; each run tries again.",
        folder_unreadable="The folder cannot be listed, so nothing is known of what it holds.",
        dicom_unreadable="The DICOM header cannot be read.",
        identity_missing="PatientID, study, series or instance UID is empty, so the object cannot be placed safely.",
        patient_id_collision="Two issuers use one PatientID for different people.",
        study_patient_conflict="One study carries two PatientIDs.",
        sop_uid_collision="Two files with different content carry one SOP Instance UID.",
        screen_save="A saved screen or dose page, not an image of the body.",
        secondary_capture="A secondary capture: text may be drawn into its pixels.",
        burned_in="The header says that annotation is drawn into the pixels.",
        recognizable_features="The header says that the face can be recognised.",
        head_shown="A head is in the image, or a contour follows its surface, and the configuration holds heads back.",
        head_unknown="Whether a head is shown cannot be told, and the configuration lets no face pass.",
        encapsulated_document="An encapsulated document.",
        structured_report="A structured report: its text may identify.",
        presentation_state="A presentation state or key object: its graphics may identify.",
        modality_unsupported="An object of a kind that this workflow does not read.",
        identity_left="An identifier was still found after de-identification, so the object was held back.",
        deidentification_failed="The object could not be rewritten without identity.",
        # series to volume
        pixel_data_truncated="Pixel data are shorter than the header promises.",
        pixel_data_undecodable="Pixel data cannot be decoded.",
        palette_unsupported="Colour or palette pixels are not read as CT or PET values.",
        missing_slices="A slice is missing between two others.",
        uneven_spacing="Distances between slices are uneven and not explained by a missing slice.",
        ambiguous_positions="Several different images lie at one position.",
        mixed_orientation="Orientations or matrix sizes differ within the series.",
        too_few_slices="Fewer slices than a volume needs.",
        geometry_missing="Position, orientation or pixel spacing is missing.",
        invalid_value="A header value that is needed is not a valid number.",
        pet_not_attenuation_corrected="The PET is not corrected for attenuation.",
        pet_not_decay_corrected="The PET is not decay corrected and cannot be converted.",
        pet_dynamic="The PET is dynamic or gated.",
        units_not_convertible="The PET units cannot be converted to SUV.",
        philips_scale_missing="Philips counts without a usable scale factor.",
        weight_missing="Body weight is missing or zero, so SUV cannot be computed.",
        height_missing="Body height or sex is missing, so the SUV variant cannot be converted.",
        dose_missing="Injected dose is missing or zero, so SUV cannot be computed.",
        half_life_missing="The half-life is missing and the nuclide is unknown.",
        half_life_implausible="The half-life disagrees with the nuclide.",
        injection_time_missing="The injection time is missing, so decay cannot be computed.",
        injection_time_implausible="Injection after the scan, or more than 12 hours before it.",
        hu_out_of_range="CT values do not lie in the range of Hounsfield units.",
        suv_out_of_range="PET values do not lie in a plausible range of SUV.",
        # contours and masks
        rtstruct_unreadable="The RTSTRUCT lacks contours or frames of reference.",
        contour_series_missing="No image of this patient fits the contour's series or frame of reference.",
        rtstruct_other_series="The contour was drawn on a series that is not used here.",
        frame_of_reference_mismatch="Image and contour, or PET and CT, have different frames of reference.",
        contour_oblique="Contour points do not lie in the image planes.",
        contour_off_grid="More than 5 % of the contours lie between or beyond the slices.",
        roi_outside_image="The ROI lies wholly outside the image.",
        segmentation_unreadable="The DICOM SEG cannot be read.",
        mask_no_image="The mask fits no image of this patient by affine and size.",
        mask_not_binary="The mask holds values other than those of a mask or label map.",
        mask_unreadable="The mask file cannot be read.",
        # slices as pictures
        folder_not_entered="A folder within a folder of pictures, which is not looked into.",
        not_picture="The file is no PNG or JPEG.",
        picture_colour="The picture is in colour or transparent, so its grey values are not known.",
        picture_deep="The picture has more than 8 bits a pixel.",
        picture_size_differs="The slice has another size than most of the patient's.",
        picture_turned="The picture says that it is to be shown turned, which its masks need not follow.",
        picture_unreadable="The picture cannot be read.",
        slice_ambiguous="Two files of one folder have one name but for the ending.",
        slice_incomplete="Another file of this slice, its picture or a mask, is missing or was set aside.",
        # patients and samples
        no_image="No usable image for this patient.",
        no_usable_ct="No CT series of this session passed.",
    ),
    **_table(
        "not_chosen",
        localizer_excluded="A scout image.",
        reformat_not_chosen="A reformat in another plane than axial.",
        derived_not_chosen="A derived or secondary reconstruction.",
        kernel_not_chosen="Another reconstruction of the same scan suited better.",
        score_lower="Another series of the session scored higher.",
        not_attenuation_corrected="An attenuation-corrected PET of the session was taken.",
        override_excluded="Left out by `series.tsv`.",
        modality_not_asked="The cohort does not ask for this modality.",
        contour_of_unchosen_series="Contours of a series that was not chosen.",
        roi_unmatched="No pattern of the configuration matches this contour's name.",
        session_not_asked="The recipe asks for another session of this patient.",
        site_not_asked="The cohort does not ask for this site of the table.",
        not_annotated="Nothing was drawn on this image, so it cannot be told from one that nobody read.",
        roi_not_drawn="A region that networks learn was not drawn on this image.",
        roi_not_first="Another instance of this ROI, the one with the lowest number, stands for the patient.",
    ),
    **_table(
        "duplicate",
        duplicate_file="The same object was exported twice.",
        duplicate_slice_dropped="The same slice was there twice; one copy was dropped.",
        contour_duplicate="The same contour of the same ROI was there twice; one copy was dropped.",
        lesion_row_duplicate="The table of lesions tells the same of this lesion on an earlier line.",
    ),
    **_table(
        "rejected",
        rejected_by_reader="Rejected in review.",
        contour_replaced="A corrected mask file took its place.",
    ),
    **_table(
        "excluded",
        excluded_by_config="Excluded in the configuration.",
        images_without_table="Images without a row in the clinical table.",
        table_without_images="A row in the clinical table without images.",
        lesion_patient_unknown="A row of the table of lesions whose patient has no images.",
        lesion_session_unknown="A row of the table of lesions whose date or session is none of the patient's.",
        lesion_contour_absent="A row of the table of lesions whose name no contour of that session carries.",
        lesion_contour_set_aside="A row of the table of lesions whose contour was set aside.",
        lesion_ambiguous="A row of the table of lesions whose name several contours carry.",
        lesion_rows_disagree="Two rows of the table of lesions tell different things of one lesion.",
        lesion_without_row="The table of lesions has no row for this lesion.",
        slice_absent="A row of the manifest for whose slice there is no picture, or more than one.",
        slice_unlisted="No row of the manifest names this slice.",
        patient_id_missing="The row names no patient, so it cannot be kept on one side of a split.",
        outcome_missing="The outcome is not known.",
        roi_absent="The ROI that the recipe asks for was not drawn.",
        image_absent="The image that the recipe asks for is not there.",
        features_missing="Features of the ROI could not be computed.",
        index_date_missing="The index date is missing, so time at risk is unknown.",
        image_after_event="The image was taken after the event.",
        image_outside_window="The image was taken outside the window about the index date.",
        event_before_index="The event came before the index date.",
    ),
    **_table(
        "censored",
        censored_before_horizon="Followed for less than the horizon, without event.",
    ),
    **_table("withdrawn", withdrawn="The patient withdrew consent."),
    **_table(
        "missing",
        roi_empty="The ROI holds no voxel.",
        roi_single_voxel="The ROI holds one voxel.",
        roi_too_few_dimensions="The ROI is a line or a point: texture and shape are undefined.",
        roi_non_finite="The ROI holds voxels without a finite value.",
        roi_geometry="ROI and image lie on different grids.",
        contour_unpaired="No contour of this ROI and rank was drawn on the image.",
        feature_undefined="The feature is undefined for this ROI.",
        value_missing="The feature table has no value.",
        value_infinite="The feature table has an infinite value, which is taken as missing.",
        suv_peak_outside="The sphere of SUVpeak leaves the image.",
    ),
    **_table(
        "flag",
        roi_single_slice="The ROI lies in one slice.",
        roi_flat="All voxels of the ROI have one value.",
        roi_components="The ROI has several separate parts.",
        roi_touches_border="The ROI touches the image border, so filters see the edge.",
        roi_small="The ROI has fewer than 64 voxels: texture is unreliable.",
        levels_low="Fewer than four grey levels: texture is unreliable.",
        contour_clipped="Part of the contour lies outside the image and was cut off.",
        contour_gap="A slice between two contoured slices has no contour.",
        contour_above_neck="Part of the contour lay above the neck and was removed with the head.",
        contour_skipped="Some contours lay between slices and were skipped.",
        rtstruct_references_dangle="The contour's image references do not resolve; it was placed by position.",
        seg_resampled="The segmentation was moved to the image grid by nearest neighbour.",
        segments_overlap="Segments overlap.",
        gantry_tilt_resampled="The gantry was tilted; the image was resampled to a straight grid.",
        lossy_compressed="The image was compressed with loss.",
        dose_unit_assumed_mbq="The dose was read as MBq.",
        weight_unit_assumed_g="The weight was read as grams.",
        injection_previous_day="The injection was placed on the day before the scan.",
        injection_date_replaced="The injection date could not be right; its time was placed just before the scan.",
        series_time_after_acquisition="The series time lies after the acquisition; another reference time was taken.",
        reference_time_disagrees="Two ways to find the reference time of the dose differ by over 1 %.",
        slope_by_slice="Rescale slopes differ by slice and were applied slice by slice.",
        age_capped="Age over 89 was capped.",
        pet_absent="The session has no usable PET.",
        image_name_moved="Another series of the session had this image name before.",
        spacing_unknown="The size of a pixel is not known: lengths and volumes count voxels of 1 mm.",
    ),
    **_table(
        "note",
        contour_keyhole="A keyhole contour was filled by the even-odd rule.",
        contour_points_ignored="Points, open contours or contours of fewer than three points were ignored.",
        roi_name_duplicate="Two contours carry one name.",
        mask_reoriented="The mask file had another axis order or extent and was placed by its affine.",
        lesions_joined="Lesions were not told apart: all lesion voxels of the patient are one region.",
        burned_in_unknown="The header does not say whether annotation is drawn into the pixels.",
    ),
}


def reason(code: str) -> Reason:
    """The reason of a code; KeyError with the nearest code where it does not exist."""
    try:
        return REASONS[code]
    except KeyError:
        raise KeyError(unknown_name("reason code", code, REASONS, "reasons.py")) from None
