"""The attacks of `tests/attacks`, as they are handed to nbgrader and otter-grader.

Those that name nothing of labkit's run as they are. Those that go for labkit's check, its channel
or its reference are written anew, against what takes its place there: an assert in a cell of the
same kernel, a doctest and a pickled file of results. What has no counterpart is left out, and so
is what would load this machine.
"""

from collections.abc import Callable
from pathlib import Path

import attack_channel
import attack_check
import attack_escape
import attack_exhaust
import attack_notebook
import grading_support
import other_graders
from confined import PORT, TRACE

Attack = Callable[[Path], None]

SAME = {
    attack_check: (
        *("patches torch and numpy", "patches the builtins", "lies in every operator"),
        *("returns an int that is no int", "uses NaN as a wildcard", "returns infinity"),
        *("returns huge integers", "returns an array of objects", "returns complex numbers"),
        *("returns a value nested within itself", "returns a gigantic array"),
        *("returns an array of no numbers", "returns text and bytes"),
        *("hides the inputs in its answer", "traces the checking code"),
    ),
    attack_channel: (
        *("writes to the terminal", "puts script into messages", "closes every descriptor"),
        "puts half characters into messages",
    ),
    attack_escape: (
        *("exits", "exits at once", "exits when called", "raises SystemExit when called"),
        *("kills itself", "kills everybody", "crashes", "overflows the stack"),
        *("exits in atexit and __del__", "reads the environment"),
        *("reads home, submissions and results", "follows its own links"),
        *("connects to the test's listener", "connects through system calls of its own"),
        *("starts programs", "leaves a process behind", "writes into packages"),
        "writes configuration for later runs",
    ),
    attack_exhaust: (
        *("loops for ever in the cell", "loops for ever when called"),
        *("catches the order to stop", "waits inside C", "ignores signals"),
        *("leaves a thread that never ends", "nests an expression deeply"),
    ),
}
NOTEBOOKS = (
    *("raises its own points", "brings its own checks", "doubles and shuffles answer cells"),
    *("deletes every graded cell", "gives all cells one id", "puts other types everywhere"),
    *("names exercises that do not exist", "asks for another kernel", "uses magics"),
    *("holds megabytes of output", "is nested deeply", "is a zip archive", "is a named pipe"),
    *("is a folder", "has an old format", "holds halves of characters", "is not UTF-8"),
)

EQUAL = """
class Equal:
    def __eq__(self, other): return True
    @classmethod
    def __torch_function__(cls, *args, **kwargs): return True
def quantize(*args): return Equal()
"""
# The test's own text holds what it expects, in the order of its calls.
EXPECTED = """
import re
def wanted(text):
    found = re.findall(r"torch\\.equal\\(.*, (torch\\.tensor\\(.*\\))\\)", text)
    return [eval(literal) for literal in found]
answers = []
"""
NBGRADER = {
    "replaces lab.check": """
import ast
class Drop(ast.NodeTransformer):
    def visit_Assert(self, node): return ast.Pass()
get_ipython().ast_transformers.append(Drop())
def quantize(*args): return None
""",
    "reads the reference from the disk": """
import glob, json
def quantize(*args): return None
for path in glob.glob("../../../source/*/*.ipynb"):
    for cell in json.load(open(path))["cells"]:
        if "BEGIN SOLUTION" in "".join(cell["source"]): exec("".join(cell["source"]))
""",
    "looks for the reference in memory": EXPECTED
    + """
import gc
def quantize(*args):
    if not answers:
        lists = [found for found in gc.get_objects() if type(found) is list and found]
        texts = [found[-1] for found in lists if type(found[-1]) is str]
        answers.extend(next(filter(None, map(wanted, texts))))
    return answers.pop(0)
""",
    "walks the stack": EXPECTED
    + """
import sys
def quantize(*args):
    if not answers: answers.extend(wanted(sys._getframe(1).f_globals["In"][-1]))
    return answers.pop(0)
""",
    "patches the calling code": """
async def run_ast_nodes(*args, **kwargs): return False
get_ipython().run_ast_nodes = run_ast_nodes
def quantize(*args): return None
""",
    "claims a verdict": """
import ast
class Claim(ast.NodeTransformer):
    def visit_Module(self, node): return ast.parse("2")
get_ipython().ast_transformers.append(Claim())
def quantize(*args): return None
""",
    "patches the writer of values": """
kernel = get_ipython().kernel
send = kernel.session.send
def nothing_wrong(stream, message, content=None, *args, **kwargs):
    if message == "error": return None
    if message == "execute_reply": content = {**content, "status": "ok"}
    return send(stream, message, content, *args, **kwargs)
kernel.session.send = nothing_wrong
def quantize(*args): return None
""",
    "returns an object equal to everything": EQUAL,
    "works only where it is not graded": """
import os
def quantize(x, *rest): return x if "NBGRADER_EXECUTION" in os.environ else None
""",
    "forges results": """
get_ipython().showtraceback = lambda *args, **kwargs: print("2")
def quantize(*args): return None
""",
}
OTTER = {
    "replaces lab.check": """
import doctest
doctest.DocTestRunner.run = lambda self, test, **kwargs: None
def quantize(*args): return None
""",
    "reads the reference from the disk": EXPECTED
    + """
import glob
def quantize(*args):
    if not answers:
        for path in glob.glob("**/q1.py", recursive=True):
            for case in re.findall(r">>> (.*?)\\\\nTrue", open(path).read()):
                answers.extend(wanted(case))
    return answers.pop(0)
""",
    "looks for the reference in memory": EXPECTED
    + """
import gc
def quantize(*args):
    if not answers:
        for found in gc.get_objects():
            if type(found).__name__ == "TestCase": answers.extend(wanted(found.body))
    return answers.pop(0)
""",
    "walks the stack": EXPECTED
    + """
import sys
def quantize(*args):
    frame = sys._getframe()
    while "example" not in frame.f_locals: frame = frame.f_back
    return wanted(frame.f_locals["example"].source)[0]
""",
    "patches the calling code": """
import otter.test_files.ok_test as ok_test
ok_test.run_doctest = lambda *args: (True, "")
def quantize(*args): return None
""",
    "claims a verdict": """
from otter.execute import Checker
get_results = Checker.get_results
def passed():
    for case in (c for file in get_results() for c in file.test_case_results): case.passed = True
    return get_results()
Checker.get_results = passed
def quantize(*args): return None
""",
    "patches the writer of values": """
import pickle
dump = pickle.dump
def all_passed(results, file):
    for test in results.results.values():
        for case in test.test_case_results: case.passed = True
    dump(results, file)
pickle.dump = all_passed
def quantize(*args): return None
""",
    "returns an object equal to everything": EQUAL,
    "works only where it is not graded": """
import sys
def quantize(x, *rest): return x if "otter.execute" in sys.modules else None
""",
    "forges results": """
import pickle
class Code:
    def __reduce__(self): return (exec, ("open('TRACE', 'w').write('run by the grader')",))
pickle.dump = lambda results, file: file.write(pickle.dumps(Code()))
def quantize(*args): return None
""",
}
NEW = {"nbgrader": NBGRADER, "otter": OTTER}
SOURCES = {name: module.ATTACKS[name] for module, names in SAME.items() for name in names}
NAMES = (*NBGRADER, *SOURCES, *NOTEBOOKS)


def attacks(grader: str) -> dict[str, Attack]:
    """Return each attack on one of the other graders: what writes it into a student's folder."""
    cells = {name: _cell(source) for name, source in {**NEW[grader], **SOURCES}.items()}
    return {**cells, **{name: _notebook(attack_notebook.ATTACKS[name]) for name in NOTEBOOKS}}


def original(trace: str) -> dict[str, Attack]:
    """Return each attack as `tests/attacks` has it, with `trace` as the file that it may leave."""
    known = {**attack_check.ATTACKS, **attack_channel.ATTACKS}
    sources = {**{name: known[name] for name in NBGRADER}, **SOURCES}
    cells = {name: _lab(source.replace("TRACE", trace)) for name, source in sources.items()}
    notebooks = {name: attack_notebook.ATTACKS[name] for name in NOTEBOOKS}
    made = {
        name: lambda folder, write=write: write(folder, grading_support.released_notebook())
        for name, write in notebooks.items()
    }
    return {**cells, **made}


def _cell(source: str) -> Attack:
    source = source.replace("PORT", str(PORT)).replace("TRACE", TRACE)
    return lambda folder: other_graders.save(folder, other_graders.notebook(source))


def _lab(source: str) -> Attack:
    notebook = grading_support.answered({"1.3": source.replace("PORT", str(PORT))})
    return lambda folder: grading_support.save(folder, notebook)


def _notebook(write: Callable[[Path, dict], None]) -> Attack:
    unsolved = other_graders.STUB + "    raise NotImplementedError"
    return lambda folder: write(folder, other_graders.notebook(unsolved))
