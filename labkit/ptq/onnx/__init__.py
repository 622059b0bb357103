"""Integer networks as ONNX files.

`file` is the door, `emitters` write each kind of step with `weights` stored so that every processor
multiplies them exactly, `exact` those of files that leave a runtime nothing to round, and `graph`
collects the nodes.
"""

from labkit.ptq.onnx.file import export_onnx

__all__ = ["export_onnx"]
