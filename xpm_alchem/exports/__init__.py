"""Results for other programs, and tables and JSON of our own."""

from xpm_alchem.exports.export import FORMATS, export

__all__ = ["FORMATS", "export"]
