"""STAR files: what is written reads back, what others write is understood, and text that is no STAR is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import starfile
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.core.errors import InputError
from cryorbit.io.integer_columns import integers
from cryorbit.io.star import numbers, read_star
from cryorbit.io.star_writing import write_star

LABELS = st.from_regex(r"\A[a-zA-Z][A-Za-z0-9_.]{0,12}\Z")
INTEGERS = st.integers(-(10**18) + 1, 10**18 - 1)
FLOATS = st.floats(allow_nan=True, allow_infinity=True)
# a line break, or both kinds of closing quotes, cannot be written in STAR
TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="'"), max_size=12),
    st.sampled_from(["1", "-2.50", "1e5", "nan", "007", "data_x", "Data_X", "_y", "#", "loop_", '"']),
)


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    labels = draw(st.lists(LABELS, min_size=1, max_size=5, unique=True))
    count = draw(st.integers(1, 4))
    kinds = draw(st.lists(st.sampled_from([INTEGERS, FLOATS, TEXTS]), min_size=len(labels), max_size=len(labels)))
    return pd.DataFrame(
        {
            # a column called ...Name is text by definition
            label + ("_" if kind is not TEXTS else ""): draw(st.lists(kind, min_size=count, max_size=count))
            for label, kind in zip(labels, kinds, strict=True)
        }
    )


@settings(deadline=None, max_examples=150)
@given(blocks=st.dictionaries(st.from_regex(r"\A[a-z]{0,8}\Z"), tables(), min_size=1, max_size=3))
def test_what_is_written_reads_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, blocks: dict[str, pd.DataFrame]
) -> None:
    file = tmp_path_factory.getbasetemp() / "round.star"
    write_star(file, blocks)
    back = read_star(file)
    assert list(back) == list(blocks)
    for name, table in blocks.items():
        assert list(back[name].columns) == list(table.columns)
        for label in table:
            assert repr(back[name][label].tolist()) == repr(table[label].tolist())


@settings(deadline=None, max_examples=200)
@given(
    text=st.one_of(
        st.text(max_size=60),
        st.lists(
            st.sampled_from(["data_", "data_a", "loop_", "_x", "_y #2", "1 2", "1", "'a b' 3", '"', "#", "_x 5", "\0"])
        ).map("\n".join),
    )
)
def test_any_text_gives_tables_or_an_input_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any.star"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        read = read_star(file)
    except InputError as error:
        assert str(file) in str(error)
        assert error.fix
    else:
        assert all(isinstance(table, pd.DataFrame) for table in read.values())


@settings(deadline=None, max_examples=100)
@given(content=st.binary(max_size=200))
def test_any_bytes_give_tables_or_an_input_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "bytes.star"
    file.write_bytes(content)
    try:
        read_star(file)
    except InputError as error:
        assert error.fix


def test_comments_blank_lines_crlf_and_pairs(tmp_path: Path) -> None:
    file = tmp_path / "odd.star"
    file.write_bytes(
        b"\xef\xbb\xbf# made by hand\r\n\r\ndata_general\r\n_rlnFinalResolution  3.20 # A\r\n_rlnTitle 'two words'\r\n"
        b"data_images\r\n\r\nloop_\r\n_rlnImageName #1\r\n_rlnA\r\n"
        b"# a comment\r\n\r\n1@it's.mrcs  1\r\n\r\n2@b.mrcs\t2\r\n"
    )
    tables = read_star(file)
    assert tables["general"].to_dict("records") == [{"rlnFinalResolution": 3.2, "rlnTitle": "two words"}]
    assert tables["images"].to_dict("list") == {"rlnImageName": ["1@it's.mrcs", "2@b.mrcs"], "rlnA": [1, 2]}


def test_text_before_the_first_block_and_comments_after_loop(tmp_path: Path) -> None:
    file = tmp_path / "commented.star"
    file.write_text("By a program.\n\ndata_particles # all\n\nloop_ # of two columns\n_rlnA #1\n_rlnB #2\n1 2\n")
    assert read_star(file)["particles"].to_dict("list") == {"rlnA": [1], "rlnB": [2]}


@pytest.mark.parametrize("unset", ["nan", "NaN", "<NA>", "None", "-", "N/A", '""'])
def test_whole_numbers_that_are_not_set(tmp_path: Path, unset: str) -> None:
    file = tmp_path / "unset.star"
    file.write_text(f"data_\nloop_\n_rlnClassNumber\n3\n{unset}\n7.000000\n")
    table = read_star(file)[""]
    assert integers(table, "rlnClassNumber", file, unset=0).tolist() == [3, 0, 7]
    with pytest.raises(InputError, match=r"unset\.star, row 2: rlnClassNumber is .*, not a whole number"):
        integers(table, "rlnClassNumber", file)


@pytest.mark.parametrize("wrong", ["1.5", "inf", "1e30", "word"])
def test_what_is_no_whole_number(tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "wrong.star"
    file.write_text(f"data_\nloop_\n_rlnClassNumber\n3\n{wrong}\n")
    with pytest.raises(InputError, match=r"wrong\.star, row 2: rlnClassNumber is"):
        integers(read_star(file)[""], "rlnClassNumber", file, unset=0)


def test_types_are_those_of_what_is_written(tmp_path: Path) -> None:
    file = tmp_path / "types.star"
    file.write_text(
        "data_\nloop_\n_int\n_float\n_mixed\n_zeros\n_uid\n_groupName\n_quoted\n_nan\n"
        "1 1.0 2 007 18446744073709551615 12 '5' nan\n-3 1e-3 x 008 1 13 '6' -inf\n"
    )
    table = read_star(file)[""]
    kinds = {label: table[label].dtype.kind for label in ("int", "float", "nan")}
    assert kinds == {"int": "i", "float": "f", "nan": "f"}
    assert table["zeros"].tolist() == ["007", "008"]
    assert table["uid"].tolist() == ["18446744073709551615", "1"]
    assert table["groupName"].tolist() == ["12", "13"]
    assert table["quoted"].tolist() == ["5", "6"]
    assert table["mixed"].tolist() == ["2", "x"]


def test_an_independent_reader_agrees(tmp_path: Path, rng: np.random.Generator) -> None:
    file = tmp_path / "ours.star"
    table = pd.DataFrame(
        {"rlnImageName": ["000001@a b.mrcs", "000002@c.mrcs"], "rlnX": rng.normal(size=2), "rlnN": [1, 2]}
    )
    optics = pd.DataFrame({"rlnOpticsGroupName": ["one"], "rlnVoltage": [300.0]})
    write_star(file, {"general": {"rlnFinalResolution": 3.2}, "optics": optics, "particles": table})
    read = starfile.read(file, always_dict=True)
    assert read["general"] == {"rlnFinalResolution": 3.2}
    pd.testing.assert_frame_equal(read["particles"], table, check_dtype=False, rtol=1e-15)
    pd.testing.assert_frame_equal(read["optics"], optics, check_dtype=False)


def test_tables_longer_than_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryorbit.io.star.ROWS_PER_CHUNK", 7)
    monkeypatch.setattr("cryorbit.io.star_writing.ROWS_PER_CHUNK", 5)
    table = pd.DataFrame({"rlnA": np.arange(30), "rlnB": [f"n {i}" for i in range(30)]})
    write_star(tmp_path / "long.star", {"x": table})
    back = read_star(tmp_path / "long.star")["x"]
    assert back.to_dict("list") == table.to_dict("list")
    assert back.index.tolist() == list(range(30))


def test_single_precision_is_written_with_its_own_digits(tmp_path: Path) -> None:
    write_star(tmp_path / "single.star", {"x": pd.DataFrame({"rlnA": np.array([0.1, 1.06], np.float32)})})
    assert read_star(tmp_path / "single.star")["x"]["rlnA"].tolist() == [0.1, 1.06]


def test_what_star_cannot_hold_is_refused_and_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "kept.star"
    file.write_text("old")
    for text in ("two\nlines", "a\" b' c"):
        with pytest.raises(ValueError, match="cannot hold"):
            write_star(file, {"x": pd.DataFrame({"rlnA": [text]})})
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_numbers_names_the_row_of_a_word(tmp_path: Path) -> None:
    table = pd.DataFrame({"rlnDefocusU": ["1.5", "nan", "none"]}, index=[4, 5, 6])
    with pytest.raises(InputError, match=r"row 7: rlnDefocusU is 'none'"):
        numbers(table, "rlnDefocusU", tmp_path / "a.star")
    np.testing.assert_array_equal(numbers(table.iloc[:2], "rlnDefocusU", "a.star"), [1.5, np.nan])


@pytest.mark.parametrize(("byte", "words"), [(b"\0", "binary, not text"), (b"x", "a line has more than")])
def test_a_line_without_end_is_told_at_once(tmp_path: Path, byte: bytes, words: str) -> None:
    file = tmp_path / "endless.star"
    file.write_bytes(b"data_\n" + byte * 2**21)
    with file.open("r+b") as stream:
        # as far as the disk lets it: holes in a file are zeros, and cost nothing
        stream.truncate(2**34)
    with pytest.raises(InputError, match=rf"endless\.star, line 2: .*{words}"):
        read_star(file)


@pytest.mark.parametrize("block", ["data_particles", "DATA_particles", "Data_particles # all"])
@pytest.mark.parametrize("loop", ["loop_", "LOOP_"])
def test_words_of_star_in_any_letter_case(tmp_path: Path, block: str, loop: str) -> None:
    file = tmp_path / "case.star"
    file.write_text(f"{block}\n{loop}\n_rlnX #1\n4\n")
    assert read_star(file)["particles"]["rlnX"].tolist() == [4]


def test_a_row_that_begins_like_a_block(tmp_path: Path) -> None:
    """Micrographs called ``data_0001.mrc``, in the first column."""
    file = tmp_path / "data.star"
    file.write_text("data_particles\nloop_\n_rlnMicrographName\n_rlnX\ndata_1.mrc 4\nloop_2.mrc 5\n")
    table = read_star(file)["particles"]
    assert table["rlnMicrographName"].tolist() == ["data_1.mrc", "loop_2.mrc"]
    assert table["rlnX"].tolist() == [4, 5]


def test_a_label_too_many_is_told_from_a_line_cut_short(tmp_path: Path) -> None:
    """3dem/relion#849: where the first line does not fit, the labels may be what is wrong."""
    file = tmp_path / "labels.star"
    head = "data_optics\nloop_\n_rlnOpticsGroup #1\n_rlnVoltage #2\n"
    for text, line, begins in (
        (f"{head}_rlnOpticsGroup1 #3\n1 300\n", 6, "compare the labels above the line with its values"),
        (f"{head}1 300 2.7\n", 5, "compare the labels above the line with its values"),
        (f"{head}1 300\n2 300 2.7\n", 6, "the line is cut short or glued to another"),
        (f"{head}1 300\n2\n", 6, "the line is cut short or glued to another"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match="values in a table of") as caught:
            read_star(file)
        assert (caught.value.line, caught.value.row) == (line, None)
        assert caught.value.fix is not None
        assert caught.value.fix.startswith(begins)
