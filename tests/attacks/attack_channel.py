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
        try: os.write(descriptor, forged(b"N", 11))
        except OSError: pass
""",
    "forges NaN": FORGE
    + """
def quantize(*args):
    os.write(4, forged(b"D" + struct.pack("<d", float("nan")), 11))
    os._exit(0)
""",
    "forges an array of the wrong size": FORGE
    + """
def quantize(*args):
    os.write(4, forged(b"A" + struct.pack("<BBQ", 6, 1, 2 ** 62), 11))
    os._exit(0)
""",
    "forges values of unknown kinds": FORGE
    + """
def quantize(*args):
    os.write(4, forged(b"\\x80\\x04cos\\nsystem\\n", 11))
    os._exit(0)
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
for _ in range(40): os.write(4, forged(b"N", 11))
def quantize(*args): return None
""",
    "sends half a frame and waits": """
import os, time
def quantize(*args):
    os.write(4, b"\\x10\\x00")
    time.sleep(60)
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
