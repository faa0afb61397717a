"""Pictures of slices: which grey values they hold, what is refused, and how a patient's slices become a stack."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from osteorad.errors import SetAside
from osteorad.files import read_json
from osteorad.images.job_slices import adopt_slices
from osteorad.images.pictures import Picture, read_picture
from osteorad.images.slices import SliceFile, SliceFiles, Sorted, sort_slices, stacked
from osteorad.images.volume import read_nifti

ROLES = ("lesion", "bone")
WHITE, BLACK = 255, 0
CODES = ("picture_colour", "picture_deep", "picture_turned", "picture_unreadable")
SHAPE = (12, 16)  # rows, columns


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">L", len(content)) + name + content + struct.pack(">L", zlib.crc32(name + content))


def bare_png(rows: list[list[int]], depth: int = 8, colour: int = 0, extra: bytes = b"") -> bytes:
    """A PNG by the letter of its specification (ISO/IEC 15948), without the library under test."""
    wide = ">H" if depth == 16 else ">B"
    lines = b"".join(b"\0" + b"".join(struct.pack(wide, value) for value in row) for row in rows)
    columns = len(rows[0]) // {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    head = chunk(b"IHDR", struct.pack(">LLBBBBB", columns, len(rows), depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def saved(array: np.ndarray | Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(out, kind, **options)
    return out.getvalue()


def grey(seed: int = 0, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def code_of(raw: bytes) -> str:
    with pytest.raises(SetAside) as raised:
        read_picture(raw)
    return raised.value.code


# --- one picture ------------------------------------------------------------------------------------------------------


def test_values_are_those_of_the_file_written_by_hand():
    found = read_picture(bare_png([[0, 1, 127], [128, 254, 255]]))
    assert found.array.tolist() == [[0, 1, 127], [128, 254, 255]]
    assert (found.format, found.size) == ("PNG", "3 x 2")


def test_a_jpeg_has_its_values_and_no_others():
    flat = np.full((16, 16), 137, dtype=np.uint8)
    flat[:8] = 20  # blocks of 8 x 8 that are flat are kept by the cosine transform
    found = read_picture(saved(flat, "JPEG", quality=95))
    assert found.format == "JPEG"
    assert np.abs(found.array.astype(int) - flat).max() <= 1


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_colour_that_is_grey_everywhere_is_read(mode: str):
    array = grey()
    assert (read_picture(saved(Image.fromarray(array).convert(mode))).array == array).all()


def test_a_grey_jpeg_in_colour_is_read():
    array = np.full((16, 16), 90, dtype=np.uint8)
    assert (read_picture(saved(Image.fromarray(array).convert("RGB"), "JPEG")).array == 90).all()


def test_one_bit_is_black_and_white():
    array = grey() > 100
    assert (read_picture(saved(Image.fromarray(array))).array == np.where(array, 255, 0)).all()


def coloured() -> np.ndarray:
    array = np.repeat(grey()[..., None], 3, axis=2)
    array[3, 4] = (10, 10, 11)
    return array


def clear() -> Image.Image:
    image = Image.fromarray(grey()).convert("LA")
    alpha = Image.new("L", image.size, 255)
    alpha.putpixel((2, 3), 254)
    image.putalpha(alpha)
    return image


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (saved(coloured()), "picture_colour"),
        (saved(clear()), "picture_colour"),
        (bare_png([[7, 8]], extra=chunk(b"tRNS", struct.pack(">H", 7))), "picture_colour"),
        (saved(Image.new("CMYK", (8, 8)), "JPEG"), "picture_colour"),
        (bare_png([[300, 1000]], depth=16), "picture_deep"),
        (bare_png([[300, 300, 300]], depth=16, colour=2), "picture_deep"),
        (bare_png([[300, 65535]], depth=16, colour=4), "picture_deep"),
        (saved(grey(), "JPEG", exif=turned(6)), "picture_turned"),
        (saved(grey(), "PNG", exif=turned(3)), "picture_turned"),
        (b"", "picture_unreadable"),
        (b"\x89PNG\r\n\x1a\n", "picture_unreadable"),
        (saved(grey(), "GIF"), "picture_unreadable"),
        (saved(grey(), "PNG")[:-30], "picture_unreadable"),
        (saved(grey(shape=(64, 64)), "JPEG")[:-400], "picture_unreadable"),
        (saved(Image.fromarray(grey()), save_all=True, append_images=[Image.fromarray(grey(1))]), "picture_unreadable"),
        (
            bare_png([[0] * 8])[:16] + struct.pack(">LL", 90_000, 90_000) + bare_png([[0] * 8])[24:],
            "picture_unreadable",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_leaves_doubt_is_refused(raw: bytes, code: str):
    assert code_of(raw) == code


def test_an_orientation_that_cannot_be_read_is_no_upright_one():
    raw = saved(grey(), "JPEG", exif=turned(6))
    place = raw.index(b"Exif") + 16  # the tag's type and number of values follow
    torn = raw[: place + 6] + b"\xff\xff\xff\x7f" + raw[place + 10 :]
    assert code_of(torn) in ("picture_unreadable", "picture_turned")


def test_an_upright_picture_may_say_so():
    assert read_picture(saved(grey(), "JPEG", exif=turned(1))).array.shape == SHAPE


def test_damaged_files_are_refused_and_raise_nothing_else():
    """Three hundred of each format with a few bytes changed, lost or doubled."""
    rng = np.random.default_rng(8)
    refused = 0
    for raw in (saved(grey(shape=(40, 40))), saved(grey(shape=(40, 40)), "JPEG", exif=turned(1))):
        for _ in range(300):
            content = bytearray(raw)
            for place in rng.integers(0, len(content) - 9, size=int(rng.integers(1, 6))):
                content[place] = int(rng.integers(256))
            cut = int(rng.integers(8, len(content)))
            content = content[:cut] if rng.random() < 0.2 else content
            try:
                read_picture(bytes(content))
            except SetAside as why:
                refused += why.code in CODES
    assert refused > 150


# --- a patient's slices -----------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "source"


def blob(seed: int = 1) -> np.ndarray:
    return np.where(grey(seed) > 200, WHITE, BLACK).astype(np.uint8)


def slices_of(folder: Path, files: Mapping[str, Mapping[str, bytes]]) -> list[SliceFiles]:
    """Write slice -> role -> content, and list them as the job gets them."""
    found = []
    for number, (name, roles) in enumerate(files.items(), start=1):
        listed = {}
        for role, content in roles.items():
            path = folder / role / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            listed[role] = SliceFile(item=f"f-{name}-{role}", path=path)
        found.append(SliceFiles(item=f"f-{name}", number=number, files=listed))
    return found


def whole(seed: int, shape: tuple[int, int] = SHAPE) -> dict[str, bytes]:
    lesion, bone = (np.where(grey(seed + k, shape) > 128, WHITE, BLACK).astype(np.uint8) for k in (100, 200))
    return {"image": saved(grey(seed, shape)), "lesion": saved(lesion), "bone": saved(bone)}


def losses(found: Sorted) -> dict[str, tuple[str, str]]:
    return {lost.item: (lost.why.code, lost.why.detail) for lost in found.lost}


def test_whole_slices_stay_in_the_order_given(folder: Path):
    found = sort_slices(slices_of(folder, {name: whole(n) for n, name in enumerate("cab")}), ROLES)
    assert [one.slice.item for one in found.used] == ["f-c", "f-a", "f-b"]
    assert [(one.picture.array == grey(n)).all() for n, one in enumerate(found.used)] == [True] * 3
    assert (found.lost, len(found.hashes)) == ([], 9)


def test_a_mask_is_what_lies_above_127(folder: Path):
    ramp = np.tile(np.arange(120, 136, dtype=np.uint8), (12, 1))
    found = sort_slices(slices_of(folder, {"a": whole(0) | {"lesion": saved(ramp)}}), ROLES)
    assert (found.used[0].masks["lesion"] == (np.arange(120, 136) >= 128)).all()


def test_a_black_mask_is_a_slice_without_lesion(folder: Path):
    empty = np.zeros(SHAPE, dtype=np.uint8)
    noise = np.full(SHAPE, 3, dtype=np.uint8)
    files = {"a": whole(0) | {"lesion": saved(empty)}, "b": whole(1) | {"lesion": saved(noise, "JPEG", quality=100)}}
    found = sort_slices(slices_of(folder, files), ROLES)
    assert [one.masks["lesion"].any() for one in found.used] == [False, False]


@pytest.mark.parametrize(
    ("change", "want"),
    [
        ({"lesion": None}, {"image": ("slice_incomplete", "slice 2 of 3, no lesion")}),
        (
            {"image": None},
            {"": ("slice_absent", "slice 2 of 3"), "bone": ("slice_incomplete", "slice 2 of 3, no image")},
        ),
        (
            {"bone": saved(coloured())},
            {
                "bone": ("picture_colour", "slice 2 of 3, 1 of 192 pixels are not grey"),
                "image": ("slice_incomplete", "slice 2 of 3, bone: picture_colour"),
            },
        ),
        (
            {"lesion": saved(blob()[:, :10])},
            {
                "lesion": ("mask_no_image", "slice 2 of 3, 10 x 12, its picture 16 x 12"),
                "bone": ("slice_incomplete", "slice 2 of 3, lesion: mask_no_image"),
            },
        ),
        (
            {"lesion": saved((blob() > 0).astype(np.uint8))},
            {"lesion": ("mask_not_binary", "slice 2 of 3, no value is above 127, the highest is 1")},
        ),
        (
            {"image": b"torn"},
            {
                "image": ("picture_unreadable", "slice 2 of 3, UnidentifiedImageError"),
                "lesion": ("slice_incomplete", "slice 2 of 3, image: picture_unreadable"),
            },
        ),
        (
            {"image": saved(grey(0))},
            {
                "image": ("duplicate_slice_dropped", "slice 2 of 3, as slice 1, with other masks"),
                "bone": ("duplicate_slice_dropped", "slice 2 of 3, as slice 1, with other masks"),
            },
        ),
        (
            whole(0),
            {"lesion": ("duplicate_slice_dropped", "slice 2 of 3, as slice 1")},
        ),
        (
            whole(1, (12, 20)),
            {
                "image": ("picture_size_differs", "slice 2 of 3, 20 x 12, most 16 x 12"),
                "lesion": ("picture_size_differs", "slice 2 of 3, 20 x 12, most 16 x 12"),
            },
        ),
    ],
)
def test_a_slice_that_is_not_whole_leaves_with_all_its_files(
    folder: Path, change: dict[str, bytes | None], want: dict[str, tuple[str, str]]
):
    second = {role: raw for role, raw in {**whole(1), **change}.items() if raw is not None}
    found = sort_slices(slices_of(folder, {"a": whole(0), "b": second, "c": whole(2)}), ROLES)
    told = losses(found)
    assert [one.slice.item for one in found.used] == ["f-a", "f-c"]
    assert sum(bool(lost.role) for lost in found.lost) == len(second)
    for role, why in want.items():
        assert told[f"f-b-{role}" if role else "f-b"] == why


def test_of_sizes_as_frequent_the_first_stays(folder: Path):
    files = {"a": whole(0, (8, 8)), "b": whole(1), "c": whole(2), "d": whole(3, (8, 8))}
    found = sort_slices(slices_of(folder, files), ROLES)
    assert [one.slice.item for one in found.used] == ["f-a", "f-d"]


def test_a_file_that_went_away_is_a_loss(folder: Path):
    listed = slices_of(folder, {"a": whole(0), "b": whole(1)})
    listed[1].files["lesion"].path.unlink()
    found = sort_slices(listed, ROLES)
    assert losses(found)["f-b-lesion"] == ("picture_unreadable", "slice 2 of 2, FileNotFoundError")


def test_a_stack_has_columns_rows_slices():
    planes = [np.arange(6, dtype=np.uint8).reshape(2, 3) + 10 * k for k in range(4)]
    volume = stacked(planes, np.int16)
    assert (volume.shape, volume.dtype, volume.flags.f_contiguous) == ((3, 2, 4), np.dtype(np.int16), True)
    assert volume[2, 1, 3] == planes[3][1, 2] == 35


# --- the job ----------------------------------------------------------------------------------------------------------

LISTED = {"roles": list(ROLES), "slices": [], "counted": {"images": 0, "contours": 0}}


def adopted(folder: Path, files: Mapping[str, Mapping[str, bytes]], out: Path) -> dict[str, dict]:
    slices = slices_of(folder, files)
    listed = {
        "roles": list(ROLES),
        "slices": [
            {
                "item": one.item,
                "files": {
                    role: {"item": file.item, "path": file.path.relative_to(folder).as_posix()}
                    for role, file in one.files.items()
                },
            }
            for one in slices
        ],
        "counted": {
            "images": sum("image" in one.files for one in slices),
            "contours": sum(len(one.files.keys() - {"image"}) for one in slices),
        },
    }
    paths = {
        "out_images": out / "images/images.json",
        "out_masks": out / "masks/masks.json",
        "out_pictures": out / "dicom/images.json",
        "out_contours": out / "dicom/contours.json",
    }
    hashes = adopt_slices(listed, folder, cohort="c", patient="p1", **paths)
    return {name: read_json(path) for name, path in paths.items()} | {"hashes": hashes}


def test_volume_and_masks_are_the_pictures_in_the_patients_axes(folder: Path, tmp_path: Path):
    made = adopted(folder, {"a": whole(0), "b": whole(1)}, tmp_path)
    (image,) = made["out_images"]["images"]
    array, grid = read_nifti(tmp_path / "images" / image["path"])
    assert (array.dtype, array.shape) == (np.int16, (16, 12, 2))
    assert array[5, 3, 1] == grey(1)[3, 5]  # column 5, row 3 of the second slice
    # the first column is the patient's right, the first row the front
    assert (grid.affine_ras @ [1, 0, 0, 0])[0] == -1
    assert (grid.affine_ras @ [0, 1, 0, 0])[1] == -1
    assert (image["units"], image["spacing_mm"], image["spacing_known"]) == ("grey", [1.0, 1.0, 1.0], False)
    assert image["slices"] == ["f-a", "f-b"]
    assert [mask["volume_ml"] for mask in made["out_masks"]["masks"]] == [None, None]
    drawn = {mask["roi"]: mask for mask in made["out_masks"]["masks"]}
    assert sorted(drawn) == ["bone", "lesion"]
    for role, offset in (("lesion", 100), ("bone", 200)):
        mask, where = read_nifti(tmp_path / "masks" / drawn[role]["path"])
        assert mask.dtype == np.uint8
        assert where.matches(grid)
        assert ((grey(1 + offset) > 128) == mask[..., 1].T).all()
        assert drawn[role]["voxels"] == mask.sum()
        assert drawn[role]["path"] == f"slices/ct/{role}-1.nii.gz"


def test_a_patient_without_any_lesion_has_an_empty_mask(folder: Path, tmp_path: Path):
    black = saved(np.zeros(SHAPE, dtype=np.uint8))
    made = adopted(folder, {"a": whole(0) | {"lesion": black}}, tmp_path)
    lesion = next(mask for mask in made["out_masks"]["masks"] if mask["roi"] == "lesion")
    assert (lesion["voxels"], lesion["flags"]) == (0, ["roi_empty", "lesions_joined"])


def test_a_patient_without_a_whole_slice_has_no_image_and_every_file_its_row(folder: Path, tmp_path: Path):
    made = adopted(folder, {"a": whole(0) | {"image": b""}, "b": {"lesion": saved(blob())}}, tmp_path)
    assert made["out_images"]["images"] == made["out_masks"]["masks"] == []
    for part, files in (("out_pictures", 1), ("out_contours", 3)):
        rows = [row for row in made[part]["set_aside"] if row["stage"] == "files"]
        assert made[part]["files_in"] == len(rows) == files
    assert [row["reason"] for row in made["out_pictures"]["set_aside"] if row["stage"] == "rows"] == ["slice_absent"]


def test_nothing_of_a_picture_but_its_pixels_goes_on(folder: Path, tmp_path: Path):
    """Names planted in text, comment, EXIF and file name are in no byte that is written."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "Planted-Person")
    text.add_itxt("Title", "Planted-Person", zip=True)
    exif = turned(1)
    exif[0x013B] = "Planted-Person"
    noisy = {
        "image": saved(grey(0), "JPEG", exif=exif, comment=b"Planted-Person"),
        "lesion": saved(blob(), pnginfo=text),
        "bone": saved(blob(2), exif=exif),
    }
    assert all(b"Planted-Person" in raw for role, raw in noisy.items())
    files = {"Planted-Person 1": noisy, "Planted-Person 2": whole(1) | {"bone": b"torn"}}
    slices = slices_of(folder, files)
    listed = {
        "roles": list(ROLES),
        "slices": [
            {
                "item": f"f{n}",
                "files": {role: {"item": f"f{n}{role}", "path": str(f.path)} for role, f in one.files.items()},
            }
            for n, one in enumerate(slices)
        ],
        "counted": {"images": 2, "contours": 4},
    }
    out = {
        name: tmp_path / f"out/{name}/m.json" for name in ("out_images", "out_masks", "out_pictures", "out_contours")
    }
    adopt_slices(listed, folder, cohort="c", patient="p1", **out)
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(written) == 7
    for path in written:
        content = path.read_bytes() if path.suffix != ".gz" else read_nifti(path)[0].tobytes()
        assert b"Planted" not in content


def test_two_runs_write_the_same_bytes(folder: Path, tmp_path: Path):
    files = {"a": whole(0), "b": whole(1) | {"bone": b""}, "c": whole(2)}
    for name in ("one", "two"):
        adopted(folder, files, tmp_path / name)
    first, second = (
        {p.relative_to(tmp_path / n): p.read_bytes() for p in sorted((tmp_path / n).rglob("*")) if p.is_file()}
        for n in ("one", "two")
    )
    assert len(first) == 7
    assert first == second


def test_a_picture_says_its_size_as_people_do():
    assert Picture(array=np.zeros((3, 5), dtype=np.uint8), format="PNG").size == "5 x 3"
