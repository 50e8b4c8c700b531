"""Door of io: users' files in, atlases out."""

from srna_lib.io.h5ad import h5ad_bytes, write_h5ad
from srna_lib.io.readers import describe, read, read_h5ad
from srna_lib.io.unpack import write_file, written_whole
