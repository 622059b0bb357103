"""Using up time, memory, processes, files and disk. Every loop here is bounded or outlived."""

ATTACKS = {
    "loops for ever in the cell": "while True: pass",
    "loops for ever when called": "def quantize(*args):\n    while True: pass",
    "catches the order to stop": """
def quantize(*args):
    while True:
        try:
            while True: pass
        except BaseException: pass
""",
    "waits inside C": "import time\ndef quantize(*args): time.sleep(60)",
    "ignores signals": """
import signal, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))
time.sleep(60)
""",
    "leaves a thread that never ends": """
import threading
def forever():
    while True: pass
threading.Thread(target=forever, daemon=False).start()
def quantize(*args): return None
""",
    "takes all memory": """
def quantize(*args):
    held = []
    for _ in range(400): held.append(bytearray(10 ** 7))
""",
    "takes all memory through torch": """
import torch
def quantize(*args): return [torch.ones(10 ** 8) for _ in range(60)]
""",
    "takes all memory through maps": """
import mmap
held = []
for _ in range(100):
    held.append(mmap.mmap(-1, 10 ** 8))
    held[-1][::4096] = bytes(len(range(0, 10 ** 8, 4096)))
def quantize(*args): return None
""",
    "forks 200 times": """
import os
for _ in range(200):
    try:
        if os.fork() == 0: os._exit(0)
    except OSError: pass
def quantize(*args): return None
""",
    "starts 200 threads": """
import threading, time
for _ in range(200): threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
def quantize(*args): return None
""",
    "fills the disk": """
def quantize(*args):
    for number in range(50):
        with open(f"/scratch/{number}", "wb") as file: file.write(bytes(10 ** 7))
""",
    "makes 20000 files": """
def quantize(*args):
    for number in range(20000): open(f"/scratch/{number}", "w").close()
""",
    "opens everything": """
held = []
def quantize(*args):
    for _ in range(2000): held.append(open("/dev/null"))
""",
    "nests an expression deeply": "quantize = " + "(" * 5000 + "1" + ")" * 5000,
    "computes a huge constant": "quantize = 9 ** 9 ** 9 ** 9",
    "compiles for ever": "quantize = " + "-" * 90000 + "1",
    # Short enough to be compared with the answers of others, where no sandbox is around the parser.
    "nests unary operators": "quantize = " + "-" * 19000 + "1",
    # What can be read and not be written again.
    "holds an integer of thousands of digits": "quantize = 0x" + "f" * 5000,
    "holds a space that is none": "quantize = f'{\"a\u00a0b\"}'",
    "nests small expressions by the thousand": "\n".join(f"x{i} = {'-' * 140}1" for i in range(120))
    + "\ndef quantize(*args): return None",
    "chains attributes": "quantize = a" + ".b" * 9000,
    "chains sums": "quantize = 1" + "+1" * 9000,
    "chains calls": "quantize = f" + "()" * 9000,
    "chains powers": "quantize = 2" + "**1" * 6000,
    "chains conditions": "if 0: pass\n" + "elif 0: pass\n" * 1400,
    "nests conditions": "quantize = " + "1 if 1 else " * 1600 + "1",
    "nests functions": "quantize = " + "lambda: " * 2400 + "1",
    "nests lists": "quantize = " + "[" * 190 + "]" * 190,
    "piles up decorators": "@a\n" * 6000 + "def quantize(*args): pass",
    "is one line of magics after another": "%x\n" * 6000 + "def quantize(*args): return None",
}
