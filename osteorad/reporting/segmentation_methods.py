"""Methods of a segmentation analysis, as a paper would print them, from the settings alone."""

from __future__ import annotations

from osteorad.reporting.segmentation_findings import BASELINE, Facts, Findings
from osteorad.reporting.segmentation_sentences import rule_words
from osteorad.reporting.wording import count, listed, percent, plural
from osteorad.segmentation.hu_threshold import HuRule

LOSSES = {
    "dice-ce": "the sum of soft Dice and cross-entropy",
    "bce-dual": "binary cross-entropy, 0.7 of lesion and 0.3 of bone",
}
OPTIMISERS = {"adamw": "AdamW", "adam": "Adam", "sgd": "stochastic gradient descent with Nesterov momentum"}
SCHEDULES = {
    "one-cycle": "rising and falling once over all steps",
    "poly": "falling as a polynomial",
    "thirds": "at its full, half and tenth value for a third of the steps each",
    "constant": "constant",
}


def methods_texts(findings: Findings, versions: Facts) -> list[str]:
    """Methods, as a paper would print them, from the settings that were used."""
    return [
        _cases_text(findings),
        _networks_text(findings, versions),
        _training_text(findings),
        _drawing_text(findings),
        _scoring_text(findings),
        *_assumed_text(findings),
    ]


def _cases_text(findings: Findings) -> str:
    settings, splits = findings.recipe["segmentation"], findings.recipe["splits"]
    used = findings.flow["used"]
    session = {"first": "first session", "last": "last session", "all": "all sessions"}[findings.recipe["session"]]
    folds = splits["folds"]
    return (
        f"Of cohort {findings.analysis['cohort']}, {plural(used['patients'], 'patient')} entered with "
        f"{plural(used['samples'], 'session')} ({session} of each), {used['with_lesion']} with a {findings.lesion} and "
        f"{used['without_lesion']} without. Reference: mask set {settings['mask_set']}. By patient, "
        f"{percent(splits['test_share'])} were held out and the others divided into {plural(folds, 'fold')}: each fold "
        f"was drawn by the network trained on the other {count(folds - 1)}, and held-out patients by the mean "
        f"probability of all {count(folds)}."
    )


def _networks_text(findings: Findings, versions: Facts) -> str:
    settings = findings.recipe["segmentation"]
    plan = settings["plan"]
    told = []
    for name in findings.names:
        own = settings["networks"][name]
        gate = f", inside the bone of {own['gate']} grown by {own['gate_mm']:g} mm" if own["gate"] else ""
        epochs = f", at most {plural(own['epochs'], 'epoch')}" if own["epochs"] else ""
        told.append(f"{name} ({own['network']}, loss {LOSSES[own['loss']]}{epochs}{gate})")
    version = f" (PyTorch {versions['torch']})" if "torch" in versions else ""
    spacing = "as set" if plan["spacing_mm"] else "the median of the training cases"
    window = "as set" if plan["window_hu"] else "from 0.5 to 99.5\u00a0% of the values in training masks"
    return (
        f"{plural(len(told), 'network')} were compared{version}: {listed(told)}. Spacing: {spacing}; values cut off "
        f"{window} and scaled by mean and standard deviation; all of it from the training cases of each fold alone."
    )


def _training_text(findings: Findings) -> str:
    training = findings.recipe["segmentation"]["training"]
    share = training["validation_share"]
    chosen = (
        f"The epoch with the best Dice on {percent(share)} of the training patients, set apart, was taken"
        if share
        else "The last epoch was taken"
    )
    return (
        f"Training: {OPTIMISERS[training['optimiser']]}, learning rate {training['learning_rate']:g}, "
        f"{SCHEDULES[training['schedule']]}, {_length(findings)}; {percent(training['foreground'])} of the patches lay "
        f"on a {findings.lesion}{_on_bone(findings)}. {chosen}; no patient who is drawn played a part in it."
    )


def _on_bone(findings: Findings) -> str:
    bone = findings.recipe["segmentation"]["bone"]
    return f", most of the others on {bone} where it was drawn" if bone else ""


def _length(findings: Findings) -> str:
    """How long networks were trained that have no epochs of their own."""
    settings = findings.recipe["segmentation"]
    steps = plural(settings["training"]["steps"], "step")
    if all(settings["networks"][name]["epochs"] for name in findings.names):
        return f"epochs of {steps}"
    return f"at most {plural(settings['training']['epochs'], 'epoch')} of {steps}"


def _drawing_text(findings: Findings) -> str:
    prediction = findings.recipe["segmentation"]["prediction"]
    return (
        f"Windows overlapped by {percent(prediction['overlap'])} and were weighted by a Gaussian; probabilities went "
        f"back to the image's own grid by linear interpolation. Voxels from {prediction['threshold']:g} on are "
        f"{findings.lesion}, and parts that share a face, an edge or a corner are one. Parts below "
        f"{prediction['smallest_ml']:g} mL or {plural(prediction['smallest_voxels'], 'voxel')} were dropped."
    )


def _scoring_text(findings: Findings) -> str:
    draws = findings.scores[0]["bootstrap"]
    return (
        f"{rule_words(findings)} Mean Dice is over cases with something to find; cases without are counted, and so are "
        f"distances that do not exist because nothing was drawn. Intervals are percentiles of "
        f"{plural(draws, 'bootstrap sample')} of patients, conditional on the trained networks."
        f"{_baseline_text(findings)}"
    )


def _baseline_text(findings: Findings) -> str:
    if findings.bone is None:
        return ""
    rule = HuRule()
    return (
        f" The {BASELINE}, which learns nothing, looks inside the bone that the network draws, without a rim of "
        f"{rule.rim_mm:g} mm: connected voxels whose value, smoothed over {rule.smooth_mm:g} mm, lies more than "
        f"{rule.deviations:g} standard deviations from the median of the patient's own bone."
    )


def _assumed_text(findings: Findings) -> list[str]:
    assumed = [str(entry).rstrip(".") for entry in findings.recipe.get("assumed") or []]
    return [f"What the publication does not state, or is done otherwise here: {'; '.join(assumed)}."] if assumed else []
