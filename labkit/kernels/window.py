"""How a convolution's kernel moves over the image."""

from collections.abc import Sequence
from dataclasses import dataclass

from labkit.validation import whole_number

Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """Stride, padding, dilation (height, width) and groups of a convolution.

    `padding` counts rows and columns on each side. They are filled with the zero point, which
    stands for 0.0; a fill of 0 would stand for -Z * S.
    """

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @classmethod
    def of(cls, stride: object, padding: object, dilation: object, groups: object) -> "Window":
        """Take each as one number for both directions or as a pair, and check it.

        Raises
        ------
        TypeError, ValueError
            If one is no whole number, or below 1 (padding: below 0).
        """
        count = whole_number(groups, "groups")
        if count < 1:
            raise ValueError(f"groups is {count}; expected 1 or more.")
        return cls(
            pair(stride, "stride", least=1),
            pair(padding, "padding", least=0),
            pair(dilation, "dilation", least=1),
            count,
        )

    def output_size(self, image: Sequence[int], kernel: Sequence[int]) -> Pair:
        """Return height and width of the result: ``(n + 2 p - d (k - 1) - 1) // s + 1``.

        Raises
        ------
        ValueError
            If the dilated kernel does not fit into the padded image.
        """
        sizes = []
        for n, k, s, p, d in zip(
            image, kernel, self.stride, self.padding, self.dilation, strict=True
        ):
            room = n + 2 * p - d * (k - 1) - 1
            if room < 0:
                raise ValueError(
                    f"a kernel of {tuple(kernel)} with dilation={self.dilation} does not fit into "
                    f"an image of {tuple(image)} with padding={self.padding}. Add padding."
                )
            sizes.append(room // s + 1)
        return sizes[0], sizes[1]

    def always_touches(self, image: Sequence[int], kernel: Sequence[int]) -> bool:
        """Tell whether no position of the kernel lies in the padding alone.

        True if a window that starts before the image reaches into it, p <= d (k - 1), and cannot
        step over it, d <= n (which is sufficient; necessary but for some strides).
        """
        return all(
            p <= d * (k - 1) and d <= n
            for n, k, p, d in zip(image, kernel, self.padding, self.dilation, strict=True)
            if p > 0
        )


def pair(value: object, name: str, least: int) -> Pair:
    """Return one number for both directions, or a pair, as (height, width).

    Raises
    ------
    TypeError, ValueError
        If one is no whole number, or below `least`.
    """
    both = value if isinstance(value, Sequence) and len(value) == 2 else (value, value)
    height, width = (whole_number(number, name) for number in both)
    if min(height, width) < least:
        raise ValueError(f"{name} is {value!r}; expected {least} or more.")
    return height, width
