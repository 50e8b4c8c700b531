"""Door of data: the contract, tasks, names of sRNAs and of tissues."""

from srna_lib.data.atlas import (
    BIOTYPES, atlas_name, check_atlas, check_column, counts_frame, make_atlas, numbers_of, quantity_of, resource,
)  # fmt: skip
from srna_lib.data.features import annotate, harmonise, shared_names
from srna_lib.data.mirna_names import hairpins, join_names, match_names
from srna_lib.data.task import (
    AGE_CUTS, CONTEXT, MADE_FROM, NORMALISED, PEOPLE, Task, choose_cohorts, cohort_table, design, eligible,
    feature_tasks, make_quantity_task, make_task, metadata_only, permute, refusal, select, shuffle_studies, subsample,
    with_context, with_every_class, with_label, without_absent,
)  # fmt: skip
from srna_lib.data.tissues import ANNOTATED, TERMS, annotate_labels, tissue_table, without_marker_labels
