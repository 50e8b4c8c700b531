"""Door of io."""

from srna_lib.io.h5ad import load_file, write_h5ad
from srna_lib.io.readers import describe, read

__all__ = ["describe", "load_file", "read", "write_h5ad"]
