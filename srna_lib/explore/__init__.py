"""Door of explore: tables and maps of an atlas."""

from srna_lib.explore.embedding import embed, neighbour_share, principal_components, silhouettes, variance_explained
from srna_lib.explore.tables import (
    biotype_table,
    class_table,
    duplicate_profiles,
    filter_effect,
    lost_markers,
    people,
    readable,
    sample_table,
    shared_studies,
    study_class_counts,
    study_table,
    summarise,
    usable_batch,
    usable_label,
    zero_share,
)
