"""Filling in what Canvas and Moodle exported: right cell, everything else as it was."""

import csv
import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.grading.judging.results import Graded, Outcome, Record
from labkit.grading.reports.lms import Filled, fill_canvas, fill_moodle

CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Lab 1 (4711),Lab 10 (4712),Final Score\r\n"
    "    Points Possible,,,,,24,20,(read only)\r\n"
    '"Lovelace, Ada",101,S1,ada@x.edu,A,,5,50\r\n'
    '"Hopper, Grace",102,S2,grace,A,3,,\r\n'
    '"Student, Test",103,,t,A,,,\r\n'
)
WORKSHEET = (
    "\ufeffIdentifier,Full name,Email address,Status,Grade,Maximum grade\n"
    "Participant 7,Ada Lovelace,ada@x.edu,Submitted,,24.00\n"
    "Participant 8,Grace Hopper,grace@x.edu,No submission,,24.00\n"
)
# As Canvas exports a course of several sections, with its rows above the students.
SECTIONS = (
    "Student,ID,SIS User ID,SIS Login ID,Root Account,Integration ID,Section,"
    '"Lab 1, linear (4711)",Labs Current Score,Final Grade\r\n'
    ",,,,,,,Manual Posting,,\r\n"
    "    Points Possible,,,,,,,24.0,(read only),(read only)\r\n"
    '"O\'Neill, Zoë",101,S1,zoe,x.edu,,"Mon and Wed, 9:00",,,\r\n'
    '"Li, Wei ""Will""",102,S2,wei,x.edu,,Tue,3,12.5,C\r\n'
)
COMMAS = (
    "Identifier;Full name;Email address;Status;Grade;Maximum grade;Feedback comments\n"
    'Participant 7;Ada Lovelace;ada@x.edu;Submitted;;24,00;"one; two"\n'
    "Participant 8;Grace Hopper;grace@x.edu;No submission;3,50;24,00;\n"
)
GRADER_REPORT = (
    "First name;Surname;ID number;Email address;Assignment: Lab 1 (Real);Course total (Real)\n"
    "Ada;Lovelace;S1;ada@x.edu;-;-\n"
    "Ada;Hopper;S2;grace@x.edu;-;-\n"
)


def earned(student: str, points: float = 7.5) -> Record:
    return Record(student, (Graded("1.1", "", "", Outcome.RIGHT, points, 24),))


def cells(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


@pytest.mark.parametrize("name", ["Ada Lovelace", "lovelace, ada", "101", "S1", "ADA@x.edu"])
def test_a_row_of_canvas_is_found_by_any_of_its_names(name: str) -> None:
    filled = fill_canvas(CANVAS, [earned(name)], 1)
    assert filled.text == CANVAS.replace("ada@x.edu,A,,", "ada@x.edu,A,7.5,").replace(
        '"Lovelace, Ada"', '"Lovelace, Ada"'
    )
    assert filled.column == "Lab 1 (4711)"
    assert filled.unmatched == ()
    assert filled.empty == ("Hopper, Grace",)


def test_lab_1_is_not_lab_10_and_another_column_can_be_named() -> None:
    assert fill_canvas(CANVAS, [earned("S1")], 10).column == "Lab 10 (4712)"
    for name in ("Lab 10", "Lab 10 (4712)"):
        assert fill_canvas(CANVAS, [earned("S1")], 1, name).column == "Lab 10 (4712)"


@pytest.mark.parametrize(("lab", "column"), [(2, None), (1, "Homework")])
def test_a_column_that_is_not_there_is_asked_for(lab: int, column: str | None) -> None:
    with pytest.raises(ValueError, match=r"0 columns to choose from.*--column"):
        fill_canvas(CANVAS, [earned("S1")], lab, column)


def test_who_has_no_row_or_no_points_is_reported() -> None:
    broken = Record("grace", (), Outcome.BROKEN, "It is empty.")
    filled = fill_canvas(CANVAS, [earned("nobody"), broken], 1)
    assert filled.text == CANVAS
    assert filled.unmatched == ("nobody", "grace")
    assert filled.empty == ("Lovelace, Ada", "Hopper, Grace")


def test_a_name_that_two_share_gets_no_points() -> None:
    doubled = CANVAS + '"Lovelace, Ada",104,S4,ada2,A,,,\r\n'
    assert fill_canvas(doubled, [earned("Ada Lovelace")], 1).unmatched == ("Ada Lovelace",)
    assert fill_canvas(doubled, [earned("S4")], 1).unmatched == ()


def test_two_folders_of_one_student_overwrite_nothing() -> None:
    # A login and a number of the same row.
    filled = fill_canvas(CANVAS, [earned("ada@x.edu"), earned("101"), earned("grace")], 1)
    assert filled.unmatched == ("ada@x.edu", "101")
    assert filled.empty == ("Lovelace, Ada",)


@pytest.mark.parametrize(
    "name", ["Ada Lovelace_7_assignsubmission_file_", "Participant 7", "ada@x.edu"]
)
def test_a_worksheet_of_moodle_is_filled_in(name: str) -> None:
    filled = fill_moodle(WORKSHEET, [earned(name)], 1)
    assert filled.text == WORKSHEET.replace("Submitted,,", "Submitted,7.5,")
    assert filled.empty == ("Grace Hopper (Participant 8)",)


def test_moodles_number_counts_more_than_a_name() -> None:
    filled = fill_moodle(WORKSHEET, [earned("Ada Lovelace_8_assignsubmission_file")], 1)
    assert cells(filled.text)[2][4] == "7.5"


def test_a_grader_report_of_moodle_is_filled_in_and_a_first_name_is_not_enough() -> None:
    records = [earned("Ada Lovelace"), earned("S2", 3), earned("Ada")]
    filled = fill_moodle(GRADER_REPORT, records, 1)
    assert [row[4] for row in cells(filled.text, ";")] == ["Assignment: Lab 1 (Real)", "7.5", "3"]
    assert filled.unmatched == ("Ada",)


@pytest.mark.parametrize("name", ["zoe", "Zoë O'Neill", "101"])
def test_an_export_with_sections_and_quotes_is_filled_in(name: str) -> None:
    filled = fill_canvas(SECTIONS, [earned(name)], 1)
    assert filled.text == SECTIONS.replace('9:00",,', '9:00",7.5,')
    assert filled.empty == ('Li, Wei "Will"',)


def test_numbers_are_written_as_the_file_writes_them() -> None:
    filled = fill_moodle(COMMAS, [earned("ada@x.edu", 5 / 3)], 1)
    assert filled.text == COMMAS.replace("Submitted;;", "Submitted;1,67;")
    report = fill_moodle(GRADER_REPORT, [earned("S1")], 1)
    assert cells(report.text, ";")[1][4] == "7.5"


@pytest.mark.parametrize(
    ("fill", "template", "most"),
    [
        (fill_canvas, CANVAS, 24),
        (fill_canvas, SECTIONS, 24),
        (fill_moodle, WORKSHEET, 24),
        (fill_moodle, COMMAS, 24),
        (fill_moodle, GRADER_REPORT, None),
        (fill_canvas, CANVAS.replace(",24,", ",,"), None),
        (fill_moodle, WORKSHEET.split("Participant")[0], None),
    ],
)
def test_what_the_template_says_can_be_had(
    fill: Callable[..., Filled], template: str, most: float | None
) -> None:
    assert fill(template, [], 1).most == most


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "\n", "\ufeff"])
@pytest.mark.parametrize("fill", [fill_canvas, fill_moodle])
def test_what_is_no_export_is_refused(fill: object, text: str) -> None:
    with pytest.raises(ValueError, match="no export that can be filled in"):
        fill(text, [], 1)  # type: ignore[operator]


EXCUSED = CANVAS.replace("ada@x.edu,A,,", "ada@x.edu,A,EX,")


def test_whom_canvas_excuses_stays_excused_and_is_named() -> None:
    filled = fill_canvas(EXCUSED, [earned("ada@x.edu"), earned("grace")], 1)
    assert filled.text == EXCUSED.replace("grace,A,3,", "grace,A,7.5,")
    assert filled.excused == ("Lovelace, Ada",)
    assert filled.unmatched == filled.empty == ()


def test_a_folder_without_work_takes_no_row_from_the_one_with_it() -> None:
    text = Record("Ada Lovelace_7_assignsubmission_onlinetext", (), Outcome.BROKEN, "No notebook.")
    filled = fill_moodle(WORKSHEET, [earned("Ada Lovelace_7_assignsubmission_file"), text], 1)
    assert filled.text == WORKSHEET.replace("Submitted,,", "Submitted,7.5,")
    assert filled.unmatched == (text.student,)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        (CANVAS, "lovelaceada_101"),
        (WORKSHEET, "Ada Lovelace_7"),
        (WORKSHEET, "Ada Lovelace_99"),
    ],
)
def test_folders_as_collect_names_them_are_understood(template: str, name: str) -> None:
    fill = fill_canvas if template is CANVAS else fill_moodle
    filled = fill(template, [earned(name)], 1)
    assert ",7.5," in filled.text.split("Hopper")[0]
    assert filled.unmatched == ()


@pytest.mark.parametrize("name", ["student_101", "hoppergrace_101", "Grace_7"])
def test_a_number_at_the_end_of_another_name_means_nobody(name: str) -> None:
    assert fill_canvas(CANVAS, [earned(name)], 1).unmatched == (name,)
    assert fill_moodle(WORKSHEET, [earned(name)], 1).unmatched == (name,)


@pytest.mark.parametrize("name", ["Zoe\u0308 O'Neill", "Zo\u00eb O'Neill", "o'neillzoe_101"])
def test_an_accent_may_be_written_in_two_ways(name: str) -> None:
    assert fill_canvas(SECTIONS, [earned(name)], 1).unmatched == ()


# Worksheets of Moodle in other languages; the headings are translated, the order is the same.
WORKSHEETS = (
    "ID,Vollständiger Name,ID-Nummer,E-Mail-Adresse,Status,Bewertung,Bestwertung,Neu\n"
    'Teilnehmer/in7,Ada Lovelace,123456,ada@x.edu,Abgegeben,,"24,00",-\n'
    'Teilnehmer/in8,Grace Hopper,123457,grace@x.edu,-,"3,50","24,00",-\n',
    "Identifiant,Nom complet,Adresse de courriel,Statut,Note,Note maximale,Modifié\n"
    'Participant 7,Ada Lovelace,ada@x.edu,Remis,,"24,00",-\n'
    'Participant 8,Grace Hopper,grace@x.edu,Remis,,"24,00",-\n',
    "Identificador;Nombre completo;Estado;Calificación;Calificación máxima;Cambiable\n"
    "Participante 7;Ada Lovelace;Enviado;;24,00;Sí\n",
    "ID,Volledige naam,E-mailadres,Status,Cijfer,Maximumcijfer\n"
    "Deelnemer 7,Ada Lovelace,ada@x.edu,Ingestuurd,,24.00\n",
    "識別子,氏名,状態,評点,最大評点\n参加者 7,Ada Lovelace,提出,,24.00\n",
)


@pytest.mark.parametrize("template", WORKSHEETS)
@pytest.mark.parametrize("name", ["Ada Lovelace_7_assignsubmission_file", "Ada Lovelace"])
def test_a_worksheet_in_any_language_is_filled_in(template: str, name: str) -> None:
    filled = fill_moodle(template, [earned(name)], 1)
    delimiter = ";" if ";" in template else ","
    before, after = cells(template, delimiter), cells(filled.text, delimiter)
    target = before[0].index(filled.column)
    assert after[1][target] == ("7,5" if "24,00" in template else "7.5")
    before[1][target] = after[1][target]
    assert before == after
    assert filled.most == 24
    named = fill_moodle(template, [earned(name)], 1, filled.column)
    assert named.text == filled.text


def test_a_gradebook_in_another_language_is_filled_in_by_the_name_of_its_column() -> None:
    report = (
        "Vorname,Nachname,ID-Nummer,E-Mail-Adresse,Aufgabe: Quiz (Punkte),Aufgabe: Lab 1 (Punkte)\n"
        "Ada,Lovelace,123456,ada@x.edu,24,-\nAda,Hopper,123457,grace@x.edu,3,-\n"
    )
    column = "Aufgabe: Lab 1 (Punkte)"
    records = [earned("Ada Lovelace"), earned("123457", 3), earned("Ada", 1), earned("24", 1)]
    filled = fill_moodle(report, records, 1)
    assert [row[5] for row in cells(filled.text)] == [column, "7.5", "3"]
    assert filled.unmatched == ("Ada", "24")


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"))),
        max_size=6,
    )
)
def test_rows_that_nobody_knows_stay_as_they_were(rows: list[list[str]]) -> None:
    head = ["Student", "ID", "Lab 1"]
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([head, *(["x", *row] for row in rows)])
    filled = fill_canvas(table.getvalue(), [earned("nobody, really")], 1)
    kept = [row[: len(given) + 1] for row, given in zip(cells(filled.text)[1:], rows, strict=True)]
    assert kept == [["x", *row] for row in rows]


# Gradebooks of Canvas in other languages: what names a person stands in the same order.
CANVAS_ELSEWHERE = (
    "Étudiant,ID,ID utilisateur SIS,ID de connexion SIS,Section,Lab 1 (4711)\n"
    "    Points possibles,,,,,24\n"
    '"Lovelace, Ada",1001,s1,ada@x.edu,S1,\n',
    "Studierende;ID;SIS-Benutzer-ID;SIS-Anmelde-ID;Abschnitt;Lab 1 (4711)\n"
    ";;;;;Manuelle Veröffentlichung\n"
    "    Mögliche Punkte;;;;;24,00\n"
    '"Lovelace, Ada";1001;s1;ada@x.edu;S1;\n',
    "学生,ID,SIS ユーザー ID,SIS ログイン ID,セクション,Lab 1 (4711)\n配点,,,,,24.00\n"
    '"Lovelace, Ada",1001,s1,ada@x.edu,S1,\n',
)


@pytest.mark.parametrize("template", CANVAS_ELSEWHERE)
@pytest.mark.parametrize("name", ["lovelaceada_1001", "ada@x.edu", "Ada Lovelace", "1001"])
def test_a_gradebook_of_canvas_in_any_language_is_filled_in(template: str, name: str) -> None:
    filled = fill_canvas(template, [earned(name)], 1)
    delimiter = ";" if ";" in template else ","
    before, after = cells(template, delimiter), cells(filled.text, delimiter)
    before[-1][-1] = "7,5" if "24,00" in template else "7.5"
    assert before == after
    assert (filled.unmatched, filled.empty, filled.most) == ((), (), 24)


@pytest.mark.parametrize("word", ["Participant", "Teilnehmer/in"])
def test_a_worksheet_without_names_is_filled_in_by_number(word: str) -> None:
    template = f"Identifier,Status,Grade,Maximum grade\n{word} 7,-,,24.00\n{word} 8,-,,24.00\n"
    filled = fill_moodle(template, [earned(f"{word.replace('/', '_')}_8")], 1)
    assert cells(filled.text)[1:] == [
        [f"{word} 7", "-", "", "24.00"],
        [f"{word} 8", "-", "7.5", "24.00"],
    ]


def test_of_a_grade_that_is_written_in_several_ways_the_points_are_filled_in() -> None:
    template = (
        "First name,Last name,Email address,Lab 1 (Real),Lab 1 (Percentage),Lab 1 (Feedback)\n"
        "Ada,Lovelace,ada@x.edu,-,-,\n"
    )
    assert fill_moodle(template, [earned("Ada Lovelace")], 1).column == "Lab 1 (Real)"
    twice = template.replace("(Percentage)", "(12)").replace("(Real)", "(13)")
    with pytest.raises(ValueError, match="3 columns to choose from"):
        fill_moodle(twice, [earned("Ada Lovelace")], 1)
