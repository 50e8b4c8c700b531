"""Door of explore: tables and maps of an atlas."""

from srna_lib.explore.embedding import (
    embed, neighbour_share, principal_components, share_records, silhouettes, variance_explained,
)  # fmt: skip
from srna_lib.explore.tables import (
    biotype_table, choose_column, class_table, depth_facts, duplicate_profiles, filter_effect, lost_markers, people,
    prepare, protocol_factors, readable, sample_table, shared_studies, study_class_counts, study_table,
    summarise, zero_share,
)  # fmt: skip
