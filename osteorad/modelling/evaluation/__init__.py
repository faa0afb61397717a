"""All numbers of an analysis: what `evaluation.json` holds.

A number that does not exist is null. `measured` is {estimate, low, high}: the value and its 95 % interval. An interval
names its kind under `interval`, a key of `intervals`. Text columns are given as they stand; numbers are never rounded.

Frame
    cohort, analysis, procedure (nested | external), unit (patient | lesion), split (folds | hold-out | site | column |
    external), level (0.95), outcome_label, too_few_events (bool)
    intervals   {key: {label, coverage, setting}}: every kind of interval used here; coverage is the sentence with the
                measured figures ('95 % interval; covers 84 to 87 % in simulations'), setting says of what simulations.
                Keys: nadeau-bengio, patient-bootstrap, delong, obuchowski, wilson
    counts      patients, samples, sample_events, most_samples (largest number of samples of a patient), events,
                non_events, tested_patients, tested_events (of any test part: all but in a hold-out), minority (of
                tested patients), minority_needed, repeats, folds, fits; events and minority are of patients

Performance (from predictions.parquet alone)
    primary     measured + se, df, n_folds, method, formula, estimand, coverage, interval, headline (bool),
                folds [{repeat, fold, auc, n, events, model}]
    models      [{variables, model, label, chosen_in, fits, auc {measured, se, df}, pooled_auc, brier, sensitivity,
                specificity}]; first the procedure (radiomics, 'chosen'), its models, then combined, clinical,
                metabolic, volume, site, prevalence as far as they were run
    differences [{of, against, estimate, low, high, se, df, p, p_holm, verdict (better | worse | not_shown), method}];
                `of` radiomics, or combined in the row combined against clinical. AUC within folds, paired
    multiplicity {method 'Holm', comparisons: rows with a P value, level 0.05}
    roc         fpr [], tpr [], low [], high [], auc measured, label, bootstrap, bootstrap_used, within_folds []
    calibration slope, intercept, in_the_large, brier, scaled_brier, ici: each measured (ici without limits, because no
                interval of it covers); curve [{predicted, observed}],
                bins [{predicted, observed, k, n, low, high}], rug [{probability, outcome}], label,
                hosmer_lemeshow {chi2, df, p, groups, n, repeat, note} | null: a footnote
    decision    thresholds [], curves [{name, label, net_benefit [], low [], high []}] (name: radiomics, combined,
                clinical, volume), all [] (treat all; treat none is 0), prevalence, events, n, label,
                added [{of, against, estimate [], low [], high []}]: difference of two curves, pairs of `differences`
    confusion   rule, label, repeats [{repeat, tp, fp, fn, tn}], measures [{name (sensitivity, specificity, ppv, npv,
                accuracy, f1), measured, k, n, wilson_low, wilson_high, by_repeat [{k, n}]}]; k of n: first repeat;
                f1: k = 2 tp, n = 2 tp + fp + fn, no proportion, so no Wilson interval; none either where a patient has
                several samples, nor in calibration.bins
    subgroups   {minimum, label, rows [{variable, level, patients, n, events, auc, low, high, note}]}; auc null and note
                the reason where patients are fewer than the minimum or a class is absent; n and events of samples
    waterfall   {repeat, rows [{sample, outcome, margin, predicted}]}, largest margin first; margin is the probability
                minus the fold's threshold as a probability
    patient_level null for unit patient, else {aggregate, patients, events, auc {measured, se, df, interval},
                lesion_auc (estimate of primary), measures [{name (sensitivity, specificity), k, n, wilson_low,
                wilson_high, measured}], label}
    controls    {permuted {n, mean, low, high (interval of the mean), range_low, range_high (central 95 % of values),
                values [], real, p, model, label} | null, shuffled: a row as of `models` | null}
    published   null, or {auc, sd, low, high (smallest and largest division), divisions, values [], chosen
                {model: times}, models [{variables, model, label, auc, sd, low, high, chosen_in}] (radiomics models,
                then combined and clinical), choice (text), permuted {auc, sd, low, high, values []} | null, leaks
                [{code, text}], nested (estimate of primary), gap (to it)}
    selection   fits, candidates, distinct, mean_features, stability measured, features [{feature, times, fits, share,
                mean_rank}]

Masks (only where networks draw inside each fold; features and their missing values are then counted over all folds)
    automatic   {network, reference (mask set), folds, regions (samples, over all folds), undrawn (of them without any
                automatic feature), icc null without that step, else {folds [{repeat, fold, compared, kept}], compared,
                kept: each {median, low, high} over the folds}}

Samples (from samples.parquet)
    table_one   {n {all, events, others} (patients), rows [{variable, level, kind (number | level), all, events, others,
                missing}]}; a group is {n, median, q1, q3, mean, sd} for a number and {k, n} for a level (n: known
                values); level is null for a number; missing: patients without the value. No P values
    missing     {columns [{column, missing, n, missing_events, events}], features {columns, with_missing, values,
                missing}}; columns: every covariate, and the feature columns with most missing values (30 at most)
    sample_size {method, r2_share, outcome_share, rows [{variables, parameters, r2, criteria [{name, needed}], needed,
                needed_events, have, have_events, events_per_parameter, enough (bool)}], note}; variables: radiomics
                (all candidate columns), clinical (columns after coding)
    optimism    null, or {variables 'clinical', model, label, predictors, patients, events, bootstraps, apparent,
                optimism, corrected, slope, b632plus, note}: AUC

External (procedure 'external': all keys above; controls.permuted, controls.shuffled, published, selection, sample_size
    and optimism are null, roc.within_folds is empty)
    external    {bundle {analysis, cohort, recipe, model, patients, events}, outside_ranges {share (mean over samples),
                any (samples with any column outside), n, rows [{sample, share}] (30 at most, largest share first)},
                recalibrated [{name (as frozen | intercept | intercept and slope), intercept, slope, brier,
                in_the_large, calibration_slope}], note}

answer          kind, auc, low, high, events, patients, beats_chance, beats_volume, beats_clinical, adds_to_clinical
                (combined against clinical; yes | no | not_shown | not_applicable), sentences []
"""
