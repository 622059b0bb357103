"""Forging, flooding and cutting the line on which results leave the sandbox."""

FORGE = """
import os, struct
def frame(body): return struct.pack("<Q", len(body)) + body
def text(t): return b"S" + struct.pack("<Q", len(t)) + t
def row(value): return b"(" + struct.pack("<Q", 6) + text(b"returned") + value + \
    text(b"") + text(b"") + b"(" + struct.pack("<Q", 0) + b"F"
def forged(value, count): return frame(b"[" + struct.pack("<Q", count) + row(value) * count)
"""

ATTACKS = {
    "forges results": FORGE
    + """
def quantize(*args):
    for descriptor in range(3, 50):
        try: os.write(descriptor, forged(b"N", COUNT))
        except OSError: pass
""",
    "forges NaN": FORGE
    + """
def quantize(*args):
    os.write(4, forged(b"D" + struct.pack("<d", float("nan")), COUNT))
    os._exit(0)
""",
    "forges an array of the wrong size": FORGE
    + """
def quantize(*args):
    os.write(4, forged(b"A" + struct.pack("<BBQ", 6, 1, 2 ** 62), COUNT))
    os._exit(0)
""",
    "forges values of unknown kinds": FORGE
    + """
def quantize(*args):
    os.write(4, forged(b"\\x80\\x04cos\\nsystem\\n", COUNT))
    os._exit(0)
""",
    "forges the lowest of all integers": FORGE
    + """
def quantize(*args):
    os.write(4, forged(b"I" + bytes([16]) + bytes(15) + b"\\x80", COUNT))
""",
    "forges text that is none": FORGE
    + """
def quantize(*args):
    os.write(4, forged(b"S" + struct.pack("<Q", 99999) + b"\\xff" * 99999, COUNT))
""",
    "closes its channel and waits": """
import os, time
def quantize(*args):
    os.close(4)
    time.sleep(60)
""",
    "forges deep nesting": FORGE
    + """
def quantize(*args):
    os.write(4, frame((b"(" + struct.pack("<Q", 1)) * 100000 + b"N"))
    os._exit(0)
""",
    "forges a frame without end": """
import os
def quantize(*args):
    os.write(4, b"\\xff\\xff\\xff\\x00\\x00\\x00\\x00\\x00")
    while True: os.write(4, bytes(65536))
""",
    "forges a reply before it is asked": FORGE
    + """
for _ in range(40): os.write(4, forged(b"N", COUNT))
def quantize(*args): return None
""",
    "sends half a frame and waits": """
import os, time
def quantize(*args):
    os.write(4, b"\\x10\\x00")
    time.sleep(60)
""",
    "forges a tensor with steps beyond measure": FORGE
    + """
def quantize(*args):
    steps = struct.pack("<QQ", 2 ** 64 - 1, 2 ** 63)
    os.write(4, forged(b"X" + struct.pack("<BBQQ", 6, 2, 1, 1) + steps + bytes(4), COUNT))
    os._exit(0)
""",
    "forges a tensor of bools that are neither": FORGE
    + """
def quantize(*args):
    os.write(4, forged(b"X" + struct.pack("<BBQQ", 0, 1, 4, 1) + bytes([2, 3, 4, 5]), COUNT))
    os._exit(0)
""",
    "forges sixteen million values": FORGE
    + """
def quantize(*args):
    data = forged(b"(" + struct.pack("<Q", 1500000) + b"N" * 1500000, COUNT)
    while data: data = data[os.write(4, data):]
    os._exit(0)
""",
    "claims to have changed an argument that is not there": """
import dataclasses, labkit.checks.calling as calling
call = calling._call
calling._call = lambda *args: dataclasses.replace(call(*args), changed=(63,))
def quantize(x, scale, zero_point, qmin, qmax):
    return (torch.round(x / scale) + zero_point).clamp(qmin, qmax).to(torch.int32)
""",
    "floods from a thread": """
import os, threading
def flood():
    for _ in range(20000): os.write(4, b"flood" * 100)
threading.Thread(target=flood, daemon=True).start()
def quantize(*args): return None
""",
    "closes every descriptor": """
import os
os.closerange(0, 64)
def quantize(*args): return None
""",
    "reads its own requests": """
import os
os.set_blocking(3, False)
def quantize(*args):
    try: return os.read(3, 10 ** 6)
    except BlockingIOError: return None
""",
    "prints without end": """
def quantize(*args):
    while True: print("x" * 10 ** 6)
""",
    "writes to the terminal": """
import os
for descriptor in (1, 2):
    os.write(descriptor, b"\\x1b]0;owned\\x07\\x1b[2J")
def quantize(*args): raise ValueError("\\x1b]0;owned\\x07")
""",
    "puts script into messages": """
def quantize(*args): raise ValueError("<script>alert(1)</script><img src=x onerror=alert(1)>")
""",
    "puts half characters into messages": """
def quantize(*args): raise ValueError("\\ud800\\x00=cmd()")
""",
}
