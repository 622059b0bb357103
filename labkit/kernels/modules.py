"""Layers that hold their prepacked integer weights."""

from typing import Any

import torch
from torch import Tensor, fx, nn

from labkit.kernels.choosing import Choice, choice
from labkit.kernels.fixed_stage import FixedStage
from labkit.kernels.layer import Layer
from labkit.kernels.output_stage import OutputStage
from labkit.kernels.roads import Road, choose_road
from labkit.kernels.window import Pair, Window
from labkit.qparams import QParams


class WithoutState(nn.Module):
    """A module of constants: a state dict would neither hold nor replace them, and is refused."""

    def _save_to_state_dict(self, *_: Any) -> None:
        raise self._no_state()

    def _load_from_state_dict(self, *_: Any) -> None:
        raise self._no_state()

    def __prepare_scriptable__(self) -> nn.Module:  # what torch.jit.script asks first
        raise self._no_graph()

    def refuse_tracing(self, inputs: Any) -> None:
        """Raise if torch is making a graph of this call.

        Raises
        ------
        TypeError
            With what to do instead.
        """
        if torch.jit.is_tracing() or torch.compiler.is_exporting() or isinstance(inputs, fx.Proxy):
            raise self._no_graph()

    def _no_graph(self) -> TypeError:
        return TypeError(
            f"a {type(self).__name__} cannot be traced, scripted or exported by torch (torch.jit, "
            "torch.fx, torch.export, torch.onnx): a graph cannot hold the weights that its kernels "
            "have packed. Write a network for other runtimes with labkit.ptq.export_onnx(model, "
            "path), or keep it with labkit.ptq.save(model, path)."
        )

    def _no_state(self) -> TypeError:
        return TypeError(
            f"{type(self).__name__} has no state_dict: its weights are constants that its kernels "
            "have packed. Keep a network with labkit.ptq.save(model, path), and get it back with "
            "labkit.ptq.load(path); labkit.ptq.export_onnx(model, path) writes an ONNX file."
        )


class QuantizedLayer(WithoutState):
    """What `QuantizedLinear` and `QuantizedConv2d` share.

    Nothing in here is a parameter or a buffer: the weights are constants, and a state dict loaded
    over them would leave what was prepacked behind.

    Attributes
    ----------
    q_w, w_qparams, bias, x_qparams, out_qparams, relu, residual_qparams, backend, requantization
        What the layer was made from.
    window : Window or None
        Stride, padding, dilation and groups, each checked; None in a linear layer.
    """

    def __init__(
        self,
        q_w: Tensor,
        w_qparams: QParams,
        bias: Tensor | None,
        x_qparams: QParams,
        out_qparams: QParams,
        relu: bool,
        backend: str,
        window: Window | None = None,
        residual_qparams: QParams | None = None,
        requantization: str = "float",
    ) -> None:
        super().__init__()
        self.q_w, self.w_qparams, self.bias = q_w, w_qparams, bias
        self.x_qparams, self.out_qparams = x_qparams, out_qparams
        self.relu, self.backend = relu, backend
        self.window, self.residual_qparams = window, residual_qparams
        self.requantization = requantization
        self._prepack()

    def forward(self, q_x: Tensor, q_residual: Tensor | None = None) -> Tensor:
        """Compute the layer on codes of `x_qparams`; gives codes of `out_qparams`."""
        self._layer.check(q_x, q_residual)
        return self._road(q_x, q_residual)

    def trusting(self, q_x: Tensor, q_residual: Tensor | None = None) -> Tensor:
        """Compute the layer on codes that another kernel made, and which need no check."""
        return self._road(q_x, q_residual)

    @property
    def road(self) -> str:
        """How it is computed: "reference", or one of the roads of `labkit.kernels.roads`."""
        return self._road.name

    @property
    def output_stage(self) -> OutputStage | FixedStage:
        """What happens to its accumulators, with all constants folded."""
        return self._layer.output

    def choice(self, saturates: bool | None = None) -> Choice:
        """Say which road is taken and why, as `labkit.kernels.choosing.choice`."""
        return choice(self._layer, self.backend, saturates)

    def extra_repr(self) -> str:
        """Show the shape of the weights and the road."""
        return f"q_w={tuple(self.q_w.shape)}, relu={self.relu}, road={self.road!r}"

    def _prepack(self) -> None:
        self._layer = Layer.of(
            self.q_w,
            self.w_qparams,
            self.bias,
            self.x_qparams,
            self.out_qparams,
            self.relu,
            self.window,
            self.residual_qparams,
            self.requantization,
        )
        self._road: Road = choose_road(self._layer, self.backend)

    def __getstate__(self) -> dict[str, Any]:
        # An engine's packed weights can be neither copied nor sent: they are made again.
        return {k: v for k, v in self.__dict__.items() if k not in ("_layer", "_road")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._prepack()


class QuantizedLinear(QuantizedLayer):
    """A linear layer on integers, prepacked; called with `q_x`, [..., in].

    Parameters
    ----------
    q_w, w_qparams, bias, x_qparams, out_qparams, relu, backend
        As in `labkit.kernels.linear`, which gives the same integers.
    requantization : str
        "float", as there, or "fixed": `labkit.kernels.fixed_stage`.
    """

    def __init__(
        self,
        q_w: Tensor,
        w_qparams: QParams,
        bias: Tensor | None,
        x_qparams: QParams,
        out_qparams: QParams,
        relu: bool = False,
        backend: str = "torch",
        requantization: str = "float",
    ) -> None:
        super().__init__(
            q_w,
            w_qparams,
            bias,
            x_qparams,
            out_qparams,
            relu,
            backend,
            requantization=requantization,
        )


class QuantizedConv2d(QuantizedLayer):
    """A convolution on integers, prepacked; called with `q_x`, [N, in, H, W].

    Fastest with unsigned activations in channels-last memory, which it returns, too.

    Parameters
    ----------
    q_w, w_qparams, bias, x_qparams, out_qparams, relu, backend
        As in `labkit.kernels.conv2d`, which gives the same integers.
    stride, padding, dilation, groups, residual_qparams
        Likewise. With `residual_qparams`, it is called with ``(q_x, q_residual)``.
    requantization : str
        As in `QuantizedLinear`.
    """

    def __init__(
        self,
        q_w: Tensor,
        w_qparams: QParams,
        bias: Tensor | None,
        x_qparams: QParams,
        out_qparams: QParams,
        relu: bool = False,
        backend: str = "torch",
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        residual_qparams: QParams | None = None,
        requantization: str = "float",
    ) -> None:
        window = Window.of(stride, padding, dilation, groups)
        super().__init__(
            q_w,
            w_qparams,
            bias,
            x_qparams,
            out_qparams,
            relu,
            backend,
            window,
            residual_qparams,
            requantization,
        )
