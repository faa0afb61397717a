"""The search finds what a plain search finds, in any chunk, and keeps its memory bounded."""

from __future__ import annotations

import io
import random

import pytest

from osteorad.verify.search import CHUNK, FOLD, Needle, Patterns, find_in_stream


def plain(needles, data):
    """Start and number of each needle, by bytes.find."""
    found, folded = set(), data.translate(FOLD)
    for needle in needles:
        at = folded.find(needle.raw)
        while at >= 0:
            found.add((at, needle.value))
            at = folded.find(needle.raw, at + 1)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_same_as_a_plain_search(seed):
    draw = random.Random(seed)
    letters = "abcAB1"
    data = "".join(draw.choices(letters, k=3000)).encode()
    needles = []
    for number in range(60):
        start, length = draw.randrange(2900), draw.randrange(4, 13)
        needles.append(Needle(data[start : start + length].lower(), number, "none"))
    found = {(match.start, match.value) for match in Patterns(needles).find(data)}
    assert found == plain(needles, data)


@pytest.mark.parametrize(
    "where", [0, 1, CHUNK - 5, CHUNK - 1, CHUNK, 4 * CHUNK - 3, 4 * CHUNK, 8 * CHUNK - 6, 9 * CHUNK - 11]
)
@pytest.mark.parametrize("word", [b"abcd", b"zzquorfel77"])
def test_found_once_at_every_border(where, word):
    data = bytearray(9 * CHUNK)
    data[where : where + len(word)] = word
    data = data[: 9 * CHUNK]
    matches = list(find_in_stream(Patterns([Needle(word, 0, "none")]), io.BytesIO(bytes(data))))
    assert [(match.start, match.end) for match in matches] == [(where, where + len(word))]


def test_stream_is_read_in_small_parts():
    class Watched(io.BytesIO):
        largest = 0

        def read(self, size=-1):
            assert size > 0
            self.largest = max(self.largest, size)
            return super().read(size)

    stream = Watched(bytes(40 * CHUNK))
    assert list(find_in_stream(Patterns([Needle(b"abcd", 0, "none")]), stream)) == []
    assert stream.largest <= 4 * CHUNK


@pytest.mark.parametrize(
    ("guard", "text", "found"),
    [
        ("letters", b"xabcd", 0),
        ("letters", b"1abcd1", 1),
        ("letters and digits", b"1abcd", 0),
        ("none", b"xabcdx", 1),
    ],
)
def test_neighbours(guard, text, found):
    assert len(list(Patterns([Needle(b"abcd", 0, guard)]).find(text))) == found


def test_guard_across_the_border_of_two_reads():
    data = bytearray(b" " * (8 * CHUNK))
    data[4 * CHUNK - 4 : 4 * CHUNK + 1] = b"abcdx"
    assert list(find_in_stream(Patterns([Needle(b"abcd", 0, "letters")]), io.BytesIO(bytes(data)))) == []


def test_no_needles_find_nothing():
    assert list(Patterns([]).find(b"abc" * 99)) == []
