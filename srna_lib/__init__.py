"""Metadata prediction, explanation and stability for small-RNA sequencing profiles.

The package is a thin helper behind the numbered notebooks. Import the module you need; importing the
package alone loads neither keras nor plotly.
"""

__version__ = "0.1.0"
