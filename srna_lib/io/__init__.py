"""Door of io: users' files in, atlases out."""

from srna_lib.io.h5ad import load_file, write_h5ad
from srna_lib.io.readers import describe, read
