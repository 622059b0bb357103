"""Going for the check: its code, its memory, the reference, and the values that it compares."""

# Each is the answer cell of exercise 1.3. `loot` in a message reaches the instructor's page.
ATTACKS = {
    "replaces lab.check": """
import labkit
class Lab:
    def __init__(self, number): pass
    def check(self, exercise, function): return "passed"
labkit.Lab = Lab
lab = Lab(1)
def quantize(*args): return lab.check("1.3", None)
""",
    "imports the reference": """
from labkit.checks.lab1.quantize import quantize
""",
    "imports the package's own function": """
from labkit.linear import quantize as right, QParams, Scheme
def quantize(x, scale, zero_point, qmin, qmax):
    return right(x, QParams(scale, zero_point, Scheme()))
""",
    "reads the reference from the disk": """
import os
found = []
for top in ("/course", "/root", "/home", "/work", "/tmp", "/mnt", "/opt", "/scratch"):
    for folder, inner, names in os.walk(top):
        inner[:] = [name for name in inner if name not in ("torch", "lib2to3", "share", "test")]
        for name in names:
            if "lab1" in folder or name == "lab1_linear.ipynb" or "solutions" in folder:
                found.append(open(os.path.join(folder, name)).read())
exec(found[0])
""",
    "looks for the reference in memory": """
import gc, types
found = [f for f in gc.get_objects() if isinstance(f, types.FunctionType)
         and f.__name__ == "quantize" and "checks" in (f.__module__ or "")]
quantize = found[0]
""",
    "walks the stack": """
import sys
def quantize(*args):
    frame = sys._getframe()
    while frame is not None:
        for value in frame.f_locals.values():
            reference = getattr(value, "reference", None)
            if callable(reference):
                return reference(*args)
        frame = frame.f_back
    return None
""",
    "walks the referrers of its arguments": """
import gc
def quantize(*args):
    seen, todo = set(), [args[0]]
    while todo and len(seen) < 3000:
        item = todo.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if callable(getattr(item, "reference", None)):
            return item.reference(*args)
        todo += gc.get_referrers(item)[:20]
    return None
""",
    "patches torch and numpy": """
import torch, numpy
torch.equal = torch.allclose = lambda *a, **k: True
torch.Tensor.__eq__ = torch.Tensor.__le__ = lambda self, other: torch.ones((), dtype=torch.bool)
numpy.allclose = numpy.array_equal = lambda *a, **k: True
numpy.abs = lambda *a, **k: 0
def quantize(x, *rest): return x
""",
    "patches the builtins": """
import builtins
builtins.all = builtins.any = builtins.isinstance = lambda *a: True
builtins.len = lambda x: 3
def quantize(x, *rest): return x
""",
    "patches the calling code": """
import labkit.checks.calling as calling, labkit.grading.inside.answers as answers
right = calling.Outcome("returned", 0)
answers.call_all = calling.call_all = lambda function, cases, seconds=0: [right] * len(cases)
def quantize(*args): return 0
""",
    "claims a verdict": """
import labkit.grading.inside.answers as answers
answers._call = lambda *a: [("passed", True, "", "", (), False)] * 11
def quantize(*args): return 0
""",
    "patches the writer of values": """
import labkit.grading.inside.answers as answers, labkit.grading.wire as wire
answers.encode = lambda value: b"X" * 40
def quantize(*args): return 0
""",
    "lies in every operator": """
import torch
class Liar(torch.Tensor):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __sub__(self, other): return 0.0
    def __abs__(self): return 0.0
    def __array__(self, *a): raise KeyError
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return True
def quantize(x, *rest): return torch.Tensor._make_subclass(Liar, x)
""",
    "returns an object equal to everything": """
class Equal:
    shape, dtype, ndim, size = (), "int32", 0, 1
    def __eq__(self, other): return True
    def __array__(self, *a): return self
    def __float__(self): return 0.0
    def __reduce__(self): return (print, ("unpickled",))
def quantize(*args): return Equal()
""",
    "returns an int that is no int": """
class Int(int):
    def __eq__(self, other): return True
    def __le__(self, other): return True
def quantize(*args): return Int(3)
""",
    "uses NaN as a wildcard": """
import torch
def quantize(x, *rest): return torch.full_like(x, float("nan"))
""",
    "returns infinity": """
import torch
def quantize(x, *rest): return torch.full_like(x, float("inf"))
""",
    "returns huge integers": """
def quantize(*args): return 10 ** 5000
""",
    "returns True for numbers": """
def quantize(x, *rest): return (x == x) | True
""",
    "returns the largest integers that can be sent": """
def quantize(*args): return 2 ** 126
""",
    "returns a million integers": """
def quantize(*args): return tuple(range(10 ** 6))
""",
    "returns an array of objects": """
import numpy
def quantize(x, *rest): return numpy.array([lambda other: True] * x.numel(), dtype=object)
""",
    "returns complex numbers": """
import torch
def quantize(x, *rest): return torch.complex(x, x)
""",
    "returns a value nested within itself": """
def quantize(*args):
    loop = []
    loop.append(loop)
    return loop
""",
    "returns a gigantic array": """
import torch
def quantize(*args): return torch.zeros(1, dtype=torch.int32).expand(10 ** 12)
""",
    "returns an array of no numbers": """
import torch
def quantize(*args): return torch.zeros(0, 2 ** 60, dtype=torch.int32)
""",
    "returns text and bytes": """
def quantize(*args): return ("passed", b"passed")
""",
    "hides the inputs in its answer": """
secret = []
def quantize(x, *rest):
    secret.extend("%.5f" % v for v in x.flatten().tolist())
    if x.numel() > 8: raise ValueError(" ".join(secret))
""",
    "works only where it is not graded": """
import os, sys
graded = os.path.exists("/course") or "ipykernel" not in sys.modules
def quantize(x, scale, zero_point, qmin, qmax):
    return x if graded else None
""",
    "traces the checking code": """
import sys
sys.settrace(lambda frame, event, arg: frame.f_locals.update(status="returned"))
sys.addaudithook(lambda event, args: None)
def quantize(*args): return None
""",
}
