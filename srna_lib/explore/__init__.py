"""Door of explore."""

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

__all__ = [
    "biotype_table",
    "class_table",
    "duplicate_profiles",
    "embed",
    "filter_effect",
    "lost_markers",
    "neighbour_share",
    "people",
    "principal_components",
    "readable",
    "sample_table",
    "shared_studies",
    "silhouettes",
    "study_class_counts",
    "study_table",
    "summarise",
    "usable_batch",
    "usable_label",
    "variance_explained",
    "zero_share",
]
