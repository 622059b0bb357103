"""Results of forms that are easy to take for numbers, or to stumble over."""

import torch

from labkit.checks import registry
from labkit.checks.lab import NOTEBOOK_SEED

ONE_LINERS = {
    "returns a structured array": "np.zeros(x.shape, dtype=[('a', 'i4'), ('b', 'f8')])",
    "returns dates": "np.zeros(x.shape, dtype='M8[s]')",
    "returns a matrix": "np.matrix(np.zeros((x.numel(), 1)))",
    "returns a masked array": "np.ma.masked_all(tuple(x.shape))",
    "returns a file as an array": "np.memmap('f', dtype='i4', mode='w+', shape=(3,))",
    "returns one number as many": "np.broadcast_to(np.int32(0), (2 ** 40,))",
    "returns an array from behind": "np.zeros(5, dtype='i4')[::-1]",
    "returns a sparse tensor": "x.to_sparse()",
    "returns sparse rows": "torch.zeros(3, 3).to_sparse_csr()",
    "returns a quantized tensor": "torch.quantize_per_tensor(x, 0.1, 0, torch.qint8)",
    "returns a tensor without numbers": "x.to('meta')",
    "returns tensors of two sizes": "torch.nested.nested_tensor([x.flatten(), x.flatten()[:1]])",
    "returns the wrapper of a tensor": "torch._to_functional_tensor(x)",
    "returns zeros that are not there": "torch._efficientzerotensor(x.shape)",
    "returns a negated view": "torch.complex(x, x).conj().imag",
    "returns minus zero": "torch.full_like(x, -0.0)",
    "returns sixteen axes more": "x[(None,) * 16]",
    "returns a network": "torch.nn.Linear(2, 2)",
    "returns a state": "torch.nn.Linear(2, 2).state_dict()",
    "returns a generator": "(v for v in x)",
    "returns its input fifty times": "(x,) * 50",
}

ATTACKS = {
    name: f"import numpy as np\ndef quantize(x, *rest): return {value}"
    for name, value in ONE_LINERS.items()
} | {
    "returns a tensor whose memory is gone": """
def quantize(x, *rest):
    t = torch.zeros(5, dtype=torch.int32)
    t.untyped_storage().resize_(0)
    return t
""",
    "returns a tensor that knows no operations": """
from torch._subclasses.fake_tensor import FakeTensorMode
def quantize(x, *rest):
    with FakeTensorMode(): return torch.zeros(3)
""",
    "returns a tensor from inside a transform": """
def quantize(x, *rest):
    kept = []
    torch.func.grad(lambda t: (kept.append(t), t.sum())[1])(x.flatten())
    return kept[0]
""",
    "turns its input into a liar": """
class Liar(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None): return True
def quantize(x, *rest):
    x.__class__ = Liar
    return x
""",
    "copies nothing and overwrites its inputs": """
import copy
copy.deepcopy = lambda value, *rest: value
def quantize(x, *rest): return x.zero_()
""",
    "answers to any name": """
class Anything:
    def __getattr__(self, name): return self
    def __call__(self, *args, **kwargs): return self
quantize = Anything()
""",
    "raises what cannot be shown": """
class Silent(Exception):
    def __str__(self): raise KeyError
def quantize(*args): raise Silent()
""",
    "raises in a name of its own": """
Evil = type("\\n<script>\\x1b[31m", (Exception,), {})
def quantize(*args): raise Evil("\\u202e\\x9b31m\\u2028=1+1")
""",
    "raises a cycle of causes": """
def quantize(*args):
    try: raise ValueError("a")
    except ValueError as error:
        error.__cause__ = error.__context__ = error
        raise
""",
}


def fitted(exercise_id: str) -> str:
    """Return an answer that knows the notebook's inputs by heart, and nothing else."""
    lab = int(exercise_id.split(".")[0])
    exercise = next(e for e in registry.exercises(lab) if e.id == exercise_id)
    table = {
        repr([a.tolist() if isinstance(a, torch.Tensor) else a for a in case.args]): (
            exercise.reference(*case.args).tolist()
        )
        for case in exercise.draw(NOTEBOOK_SEED)
    }
    return f"""
table = {table!r}
def {exercise.function}(*args):
    key = repr([a.tolist() if isinstance(a, torch.Tensor) else a for a in args])
    return torch.tensor(table.get(key, 0), dtype=torch.int32)
"""


ATTACKS["knows the notebook's inputs by heart"] = fitted("1.3")
