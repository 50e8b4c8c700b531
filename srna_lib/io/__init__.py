"""Door of io: users' files in, atlases out."""

from srna_lib.io.h5ad import write_h5ad
from srna_lib.io.readers import describe, read, read_h5ad
