"""Integer networks as C programs."""

from labkit.device.program.export import Exported, export_c

__all__ = ["Exported", "export_c"]
