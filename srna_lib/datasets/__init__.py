"""Door of datasets."""

from srna_lib.datasets.files import RAW, cache_dir
from srna_lib.datasets.public import read_table
from srna_lib.datasets.registry import entry, fetch, is_file, load, names, options, registry, state

__all__ = [
    "RAW",
    "cache_dir",
    "entry",
    "fetch",
    "is_file",
    "load",
    "names",
    "options",
    "read_table",
    "registry",
    "state",
]
