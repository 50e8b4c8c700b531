"""Door of report: what notebooks open and close with, and the run of many."""

from srna_lib.report.leaderboard import leaderboard_tables
from srna_lib.report.notebook import close, open_dataset, say
from srna_lib.report.results import RECORD_FIELDS, versions
