"""Door of datasets: public sets by name, fetched and verified, and the simulated atlas."""

from srna_lib.datasets.files import RAW, cache_dir
from srna_lib.datasets.public import read_table
from srna_lib.datasets.registry import entry, fetch, is_file, load, names, options, registered, state
