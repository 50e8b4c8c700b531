"""Door of report."""

from srna_lib.report.notebook import open_dataset, say
from srna_lib.report.results import versions, write_card, write_results

__all__ = ["open_dataset", "say", "versions", "write_card", "write_results"]
