import io
import random
import struct
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin

from catsdogs.core.errors import PictureError
from catsdogs.data import colours, memory
from catsdogs.data import decode as module
from catsdogs.data.decode import FORMATS, DecodeLimits, decode

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quadrants(width: int = 48, height: int = 32) -> Image.Image:
    """Red, green over blue, white: no turn and no mirror leaves it as it is."""
    picture = Image.new("RGB", (2, 2))
    picture.putdata([RED, GREEN, BLUE, WHITE])
    return picture.resize((width, height), Image.Resampling.NEAREST)


def photo(width: int, height: int) -> Image.Image:
    """Smooth colours with some grain: what resizing and JPEG are made for."""
    coarse = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def saved(picture: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def resized_jpeg_header(width: int, height: int, **options: object) -> bytes:
    """A tiny JPEG that claims another size; libjpeg fills in what is missing."""
    data = bytearray(saved(Image.new("RGB", (64, 64)), "JPEG", **options))
    marker = b"\xff\xc2" if options.get("progressive") else b"\xff\xc0"
    start = data.find(marker) + 5
    data[start : start + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def png_chunk(name: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum


def reason(data: bytes, **options: object) -> str:
    with pytest.raises(PictureError) as caught:
        decode(data, **options)
    return str(caught.value)


def comes_to_an_end(data: bytes, **options: object) -> bool:
    """Whether the outcome is an RGB picture or a PictureError with a reason; others are raised."""
    try:
        return decode(data, **options).mode == "RGB"
    except PictureError as error:
        return bool(str(error))


def corners(picture: Image.Image) -> list[tuple[int, ...]]:
    """The colours in the middle of the quadrants, each channel rounded to 0 or 255."""
    width, height = picture.size
    places = [(x * width // 4, y * height // 4) for y in (1, 3) for x in (1, 3)]
    return [tuple(255 * (value > 127) for value in picture.getpixel(place)) for place in places]


@pytest.mark.parametrize("file_format", ["JPEG", *FORMATS])
def test_every_allowed_format_is_read(file_format: str) -> None:
    picture = decode(saved(quadrants(), file_format))
    assert picture.mode == "RGB"
    assert picture.size == (48, 32)
    assert corners(picture) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("file_format", ["EPS", "PDF", "ICO", "SPIDER", "MSP", "ICNS"])
def test_other_formats_are_not_read(file_format: str) -> None:
    picture = quadrants().convert({"MSP": "1", "SPIDER": "F"}.get(file_format, "RGB"))
    assert reason(saved(picture, file_format)) == "not a picture of an allowed format"


@pytest.mark.parametrize("data", [b"\0" * 200, b"hello, world" * 50, b"PK\x03\x04" + bytes(99)])
def test_what_is_no_picture_is_said_to_be_none(data: bytes) -> None:
    assert reason(data) == "not a picture of an allowed format"


def test_empty_file() -> None:
    assert reason(b"") == "empty file"


class TestLimits:
    def test_bytes(self) -> None:
        data = saved(quadrants(), "PNG")
        assert reason(data, limits=DecodeLimits(max_bytes=len(data) - 1)) == f"too many bytes ({len(data)})"
        assert decode(data, limits=DecodeLimits(max_bytes=len(data)))

    @pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
    def test_pixels(self, file_format: str) -> None:
        data = saved(quadrants(48, 32), file_format)
        assert reason(data, limits=DecodeLimits(max_pixels=48 * 32 - 1)) == "too many pixels (48x32)"
        assert decode(data, limits=DecodeLimits(max_pixels=48 * 32))

    def test_a_jpeg_counts_as_large_as_it_is_decoded(self) -> None:
        data, limits = saved(photo(400, 400), "JPEG"), DecodeLimits(max_pixels=150 * 150)
        assert decode(data, at_least_px=(50, 50), limits=limits).size == (100, 100)
        assert reason(data, at_least_px=(100, 100), limits=limits) == "too many pixels (400x400)"

    def test_but_not_without_end(self) -> None:
        data = resized_jpeg_header(20_000, 20_000)
        assert reason(data, at_least_px=(50, 50)) == "too many pixels (20000x20000)"

    def test_a_picture_that_pillow_decodes_in_python_may_be_less_large(self) -> None:
        limits = DecodeLimits(max_slow_pixels=48 * 32 - 1)
        assert reason(b"P3 48 32 255\n" + b"9 " * 3 * 48 * 32, limits=limits) == "too many pixels (48x32)"
        assert decode(saved(quadrants(48, 32), "PPM"), limits=limits)

    @pytest.mark.parametrize("size", [(1001, 1), (1, 1001)])
    def test_side_ratio(self, size: tuple[int, int]) -> None:
        assert reason(saved(Image.new("RGB", size), "PNG")) == f"side ratio too large ({size[0]}x{size[1]})"
        assert decode(saved(Image.new("RGB", (1000, 1)), "PNG"))

    def test_scans(self) -> None:
        data = saved(photo(64, 64), "JPEG", progressive=True)
        last_scan = data[data.rfind(b"\xff\xda") : -2]
        assert decode(data)
        assert reason(data[:-2] + last_scan * 300 + data[-2:]).startswith("too many scans (3")

    def test_memory_of_the_decoder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A progressive JPEG is held at its full size however small it comes."""
        plain, progressive = (saved(photo(400, 400), "JPEG", progressive=p) for p in (False, True))
        monkeypatch.setattr(memory, "BUDGET", memory.MemoryBudget(400 * 400 * 4))
        assert decode(plain, at_least_px=(50, 50))
        assert reason(progressive, at_least_px=(50, 50)) == "too many pixels (400x400)"

    def test_scans_of_single_components_are_held_as_well(self) -> None:
        data = saved(photo(64, 64), "JPEG", progressive=False)
        scan = data.rfind(b"\xff\xda")
        data = data[: scan + 4] + b"\x01" + data[scan + 5 :]
        assert module._count_scans(module._open(data), data) == 2

    @pytest.mark.parametrize("size", [(60_000, 60_000), (10_000, 9_999)])
    def test_a_header_alone_costs_nothing(self, size: tuple[int, int]) -> None:
        header = struct.pack(">IIBBBBB", *size, 8, 6, 0, 0, 0)
        data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", bytes(99))
        started = time.perf_counter()
        assert reason(data).startswith("too many pixels")
        assert time.perf_counter() - started < 0.5


class TestDamage:
    @pytest.mark.parametrize("file_format", ["JPEG", *FORMATS])
    def test_cut_anywhere_it_is_a_reason_or_a_picture(self, file_format: str) -> None:
        data = saved(photo(40, 30), file_format)
        for cut in range(0, len(data), max(1, len(data) // 40)):
            assert comes_to_an_end(data[:cut])

    @pytest.mark.parametrize("file_format", ["JPEG", *FORMATS])
    def test_changed_anywhere_it_is_a_reason_or_a_picture(self, file_format: str) -> None:
        chance, original = random.Random(0), saved(photo(40, 30), file_format)
        for _ in range(60):
            data = bytearray(original)
            for _ in range(chance.randint(1, 8)):
                data[int(len(data) * chance.random() ** 3)] = chance.randrange(256)
            assert comes_to_an_end(bytes(data), limits=DecodeLimits(max_pixels=10**6))

    @pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF", "BMP", "TGA"])
    def test_half_a_file_is_truncated(self, file_format: str) -> None:
        data = saved(photo(80, 60), file_format)
        assert reason(data[: len(data) // 2]) == "truncated"

    def test_a_decoder_that_runs_out_of_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise MemoryError

        monkeypatch.setattr(module, "to_rgb", fail)
        assert reason(saved(quadrants(), "PNG")) == "not enough memory"

    def test_nobody_else_hears_of_it(self, capfd: pytest.CaptureFixture[str]) -> None:
        """Neither warnings, also where they are errors and in threads, nor what libtiff prints from C."""
        strip = saved(photo(40, 30), "TIFF", compression="tiff_adobe_deflate")
        broken = strip[:60] + bytes(40) + strip[100:]
        odd_palette = saved(quadrants().quantize(4), "PNG", transparency=b"\x80\xff")
        with warnings.catch_warnings(), ThreadPoolExecutor(4) as pool:
            warnings.simplefilter("error")
            reasons = list(pool.map(lambda data: reason(data), [broken] * 20))
            assert set(reasons) == {"damaged"}
            assert list(pool.map(decode, [odd_palette] * 20))
        assert capfd.readouterr() == ("", "")


# Orientation -> what must be done to the upright picture so that the tag undoes it.
STORED_AS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
    def test_comes_upright(self, file_format: str, orientation: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = quadrants().transpose(STORED_AS[orientation]) if orientation > 1 else quadrants()
        picture = decode(saved(stored, file_format, exif=exif))
        assert picture.size == (48, 32)
        assert corners(picture) == [RED, GREEN, BLUE, WHITE]

    @pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
    def test_a_turned_picture_keeps_the_sides_that_are_needed(self, file_format: str) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        data = saved(photo(600, 1200).transpose(Image.Transpose.ROTATE_90), file_format, exif=exif)
        assert decode(data, at_least_px=(100, 300)).size == (300, 600)

    @pytest.mark.parametrize(
        "exif", [b"Exif\0\0", b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\1\x12"]
    )
    def test_broken_exif_is_as_none(self, exif: bytes) -> None:
        assert corners(decode(saved(quadrants(), "JPEG", exif=exif))) == [RED, GREEN, BLUE, WHITE]

    @pytest.mark.parametrize("value", [0, 9, 60_000])
    def test_an_unknown_orientation_is_upright(self, value: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = value
        assert corners(decode(saved(quadrants(), "JPEG", exif=exif))) == [RED, GREEN, BLUE, WHITE]


def ramp(dtype: str, top: float) -> np.ndarray:
    """(4, 256): grey from black to white."""
    return np.tile(np.linspace(0, top, 256), (4, 1)).astype(dtype)


def greys(data: bytes) -> np.ndarray:
    pixels = np.asarray(decode(data)).astype(int)
    assert (pixels[..., 0] == pixels[..., 1]).all()
    assert (pixels[..., 0] == pixels[..., 2]).all()
    return pixels[0, :, 0]


class TestDeepGrey:
    @pytest.mark.parametrize("file_format", ["PNG", "TIFF", "JPEG2000", "PPM"])
    def test_16_bits_are_scaled(self, file_format: str) -> None:
        data = saved(Image.fromarray(ramp("uint16", 65535)), file_format)
        assert np.abs(greys(data) - np.arange(256)).max() <= 1

    def test_a_dark_16_bit_picture_stays_dark(self) -> None:
        for file_format in ("PNG", "PPM", "TIFF"):
            assert greys(saved(Image.fromarray(ramp("uint16", 200)), file_format)).max() == 1

    @pytest.mark.parametrize("top", [255, 65535, 2**31 - 1])
    def test_32_bit_whole_numbers(self, top: int) -> None:
        data = saved(Image.fromarray(ramp("int32", top)), "TIFF")
        assert np.abs(greys(data) - np.arange(256)).max() <= 1

    def test_negative_numbers_are_stretched(self) -> None:
        data = saved(Image.fromarray(ramp("int32", 3000) - 1000), "TIFF")
        assert np.abs(greys(data) - np.arange(256)).max() <= 1

    @pytest.mark.parametrize("top", [1.0, 255.0, 65535.0, 1e30])
    def test_floating_point(self, top: float) -> None:
        data = saved(Image.fromarray(ramp("float32", top)), "TIFF")
        assert np.abs(greys(data) - np.arange(256)).max() <= 1

    def test_what_is_not_a_number_does_no_harm(self) -> None:
        values = ramp("float32", 1.0)
        values[:, 0], values[:, 1], values[:, 2] = np.nan, np.inf, -np.inf
        found = greys(saved(Image.fromarray(values), "TIFF"))
        assert found[0] == 0
        assert np.abs(found[3:] - np.arange(3, 256)).max() <= 1
        assert greys(saved(Image.fromarray(np.full((4, 4), np.nan, "float32")), "TIFF")).max() == 0

    def test_signed_16_bits_are_white_at_half(self) -> None:
        signed = {TiffImagePlugin.SAMPLEFORMAT: 2}
        data = saved(Image.fromarray(ramp("uint16", 32767)), "TIFF", tiffinfo=signed)
        assert np.abs(greys(data) - np.arange(256)).max() <= 1

    def test_transparent_16_bit_grey_becomes_white(self) -> None:
        data = saved(Image.fromarray(np.full((4, 4), 1000, "uint16")), "PNG", transparency=1000)
        assert set(greys(data)) == {255}


def conversions() -> dict[str, tuple[Callable[[], bytes], tuple[int, int, int]]]:
    """Name -> how the file is made, and the colour it must come to."""

    def plain(mode: str, colour: object, file_format: str, **options: object) -> Callable[[], bytes]:
        return lambda: saved(Image.new(mode, (8, 8), colour), file_format, **options)

    def palette(file_format: str, **options: object) -> Callable[[], bytes]:
        def make() -> bytes:
            picture = Image.new("P", (8, 8), 1)
            picture.putpalette([0, 0, 0, 200, 10, 20])
            return saved(picture, file_format, **options)

        return make

    def lab() -> bytes:
        red = Image.new("RGB", (8, 8), (200, 30, 40))
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        return saved(ImageCms.profileToProfile(red, *profiles, outputMode="LAB"), "TIFF")

    return {
        "one bit white": (plain("1", 1, "PNG"), (255, 255, 255)),
        "one bit black": (plain("1", 0, "TIFF", compression="group4"), (0, 0, 0)),
        "grey": (plain("L", 77, "PNG"), (77, 77, 77)),
        "palette": (palette("PNG"), (200, 10, 20)),
        "palette gif": (palette("GIF"), (200, 10, 20)),
        "palette, other index transparent": (palette("PNG", transparency=0), (200, 10, 20)),
        "palette, transparent": (palette("PNG", transparency=1), (255, 255, 255)),
        "palette, alpha table": (palette("PNG", transparency=b"\xff\x00"), (255, 255, 255)),
        "palette gif, transparent": (palette("GIF", transparency=1), (255, 255, 255)),
        "grey, transparent value": (plain("L", 77, "PNG", transparency=77), (255, 255, 255)),
        "RGB, transparent value": (plain("RGB", (1, 2, 3), "PNG", transparency=(1, 2, 3)), (255, 255, 255)),
        "alpha full": (plain("RGBA", (10, 20, 30, 255), "PNG"), (10, 20, 30)),
        "alpha none": (plain("RGBA", (10, 20, 30, 0), "PNG"), (255, 255, 255)),
        "alpha half": (plain("RGBA", (0, 0, 0, 128), "TGA"), (127, 127, 127)),
        "alpha webp": (plain("RGBA", (0, 0, 0, 0), "WEBP", lossless=True), (255, 255, 255)),
        "grey alpha": (plain("LA", (0, 128), "PNG"), (127, 127, 127)),
        "CMYK no ink": (plain("CMYK", (0, 0, 0, 0), "JPEG"), (255, 255, 255)),
        "CMYK red": (plain("CMYK", (0, 255, 255, 0), "JPEG"), (255, 0, 0)),
        "CMYK tiff": (plain("CMYK", (255, 0, 0, 0), "TIFF"), (0, 255, 255)),
        "YCbCr tiff": (plain("YCbCr", (76, 85, 255), "TIFF"), (254, 0, 0)),
        "LAB": (lab, (200, 30, 40)),
    }


@pytest.mark.parametrize("name", conversions())
def test_colours_are_converted_properly(name: str) -> None:
    make, expected = conversions()[name]
    pixels = np.asarray(decode(make())).astype(int)
    assert np.abs(pixels - np.array(expected)).max() <= 3


def test_a_palette_may_hold_alpha_itself() -> None:
    header = struct.pack("<BBBHHBHHHHBB", 0, 1, 1, 0, 2, 32, 0, 0, 2, 1, 8, 0x20)
    opaque, transparent = bytes([20, 10, 200, 255]), bytes([20, 10, 200, 0])
    pixels = np.asarray(decode(header + opaque + transparent + bytes([0, 1])))
    assert pixels.tolist() == [[[200, 10, 20], [255, 255, 255]]]


def test_a_palette_may_be_missing() -> None:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 8, 3, 0, 0, 0))
    rows = png_chunk(b"IDAT", zlib.compress(bytes([0, 0, 1]))) + png_chunk(b"IEND", b"")
    assert decode(b"\x89PNG\r\n\x1a\n" + header + rows).size == (2, 1)


def test_premultiplied_alpha() -> None:
    half_black = Image.new("RGBA", (8, 8), (0, 0, 0, 128)).convert("RGBa")
    assert np.abs(np.asarray(colours._on_white(half_black)).astype(int) - 127).max() <= 1
    half_grey = Image.new("LA", (8, 8), (0, 128)).convert("La")
    assert np.abs(np.asarray(colours._on_white(half_grey)).astype(int) - 127).max() <= 1


def test_of_several_frames_the_first_is_the_picture() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((200, 0, 0), (0, 200, 0))]
    for file_format in ("MPO", "GIF", "WEBP", "PNG"):
        data = saved(frames[0], file_format, save_all=True, append_images=frames[1:])
        red, green, _ = decode(data).getpixel((4, 4))
        assert red > 190
        assert green < 10


class TestScaling:
    @pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
    @pytest.mark.parametrize("size", [(255, 256), (256, 256), (640, 480), (500, 1000), (2000, 500)])
    def test_twice_the_sides_remain_and_not_much_more(self, file_format: str, size: tuple[int, int]) -> None:
        picture = decode(saved(photo(*size), file_format), at_least_px=(64, 64))
        assert min(picture.size) >= min(128, *size)
        assert min(picture.size) < 3 * 128
        assert picture.width / picture.height == pytest.approx(size[0] / size[1], rel=0.02)

    @pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
    @pytest.mark.parametrize(("size", "tolerance"), [((1280, 1024), 0.5), ((1279, 1025), 3.0)])
    def test_the_view_is_that_of_the_full_picture(self, file_format, size, tolerance) -> None:
        """Where blocks do not fill the last column or row, it is up to half a pixel off at that edge."""
        data = saved(photo(*size), file_format, quality=95)
        full, scaled = (
            decode(data, at_least_px=needed).resize((64, 64), Image.Resampling.BICUBIC)
            for needed in (None, (64, 64))
        )
        assert np.abs(np.asarray(full).astype(int) - np.asarray(scaled)).mean() < tolerance

    def test_without_a_need_every_pixel_comes(self) -> None:
        assert decode(saved(photo(1500, 1100), "JPEG")).size == (1500, 1100)


def test_a_broken_picture_gives_its_share_back(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(photo(80, 60), "JPEG")
    budget = memory.MemoryBudget(80 * 60 * 8)
    monkeypatch.setattr(memory, "BUDGET", budget)
    for _ in range(3):
        assert reason(data[: len(data) // 2]) == "truncated"
    assert decode(data)


@pytest.mark.real
def test_nearly_all_that_pillow_decodes_and_never_a_crash(real, capfd: pytest.CaptureFixture[str]) -> None:
    within = readable = 0
    with zipfile.ZipFile(real / "data" / "hostile.zip") as archive:
        for info in archive.infolist():
            data = archive.read(info)
            try:
                readable += decode(data, at_least_px=(256, 256)).mode == "RGB"
            except PictureError as error:
                within += str(error).split(" (")[0] != "damaged" and _pillow_decodes(data)
    assert readable >= 1640
    assert readable / (readable + within) >= 0.97
    assert capfd.readouterr() == ("", "")


def _pillow_decodes(data: bytes) -> bool:
    try:
        picture = Image.open(io.BytesIO(data))
        if picture.format in ("EPS", "WMF") or picture.width * picture.height > 50_000_000:
            return False
        picture.convert("RGB")
    except Exception:
        return False
    return True
