"""One zip: its table of contents, which ``zipfile`` reads, and the bytes of each file in it."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from catsdogs.core.errors import DataError, PictureError
from catsdogs.data.entries import failure_reason
from catsdogs.data.positioned import PositionedFile, Stream

_PIECE_BYTES = 2**20
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # magic, ..., length of the name, length of what follows it
_ENCRYPTED, _UTF8_NAME = 0x1, 0x800
_DOS = 0
# What zipfile raises for a damaged table of contents; ArithmeticError where a position overflows.
_NOT_A_ZIP = (zipfile.BadZipFile, OSError, NotImplementedError, ValueError, ArithmeticError, struct.error)


class Member(NamedTuple):
    """One file in a zip, as the table of contents describes it.

    Attributes:
        name: With forward slashes.
        header: Position of its local header in ``file``.
        packed_size: Bytes in the archive.
        size: Bytes when unpacked.
        crc: CRC-32 of the unpacked bytes.
        method: How it is packed.
        flags: General purpose bits.
        file: The archive.
    """

    name: str
    header: int
    packed_size: int
    size: int
    crc: int
    method: int
    flags: int
    file: PositionedFile

    @property
    def is_packed(self) -> bool:
        """Whether it is compressed or encrypted, so that it cannot seek."""
        return self.method != zipfile.ZIP_STORED or bool(self.flags & _ENCRYPTED)

    def in_place(self) -> PositionedFile:
        """Return a member that is not packed as a part of its archive.

        Raises:
            PictureError: Its header is damaged.
        """
        return self.file.part(self._data_start(), self.size)

    def pieces(self) -> Iterator[bytes]:
        """Yield the unpacked bytes, never more than declared.

        Raises:
            PictureError: The bytes are not what the table of contents promises.
        """
        size = crc = 0
        for piece in self._unpacked():
            size += len(piece)
            if size > self.size:
                raise PictureError("damaged: larger than its archive says")
            crc = zlib.crc32(piece, crc)
            yield piece
        if size < self.size:
            raise PictureError("truncated")
        if crc != self.crc:
            raise PictureError("damaged: its checksum differs")

    def _unpacked(self) -> Iterator[bytes]:
        if self.flags & _ENCRYPTED:
            raise PictureError("encrypted")
        if self.method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise PictureError("packed with another method than deflate")
        try:
            yield from self._packed() if self.method == zipfile.ZIP_STORED else _inflated(self._packed())
        except zlib.error as error:
            raise PictureError("damaged") from error
        except (OSError, OverflowError) as error:
            raise PictureError(failure_reason(error)) from error

    def _packed(self) -> Iterator[bytes]:
        position = self._data_start()
        end = position + self.packed_size
        while position < end:
            piece = self.file.read_at(position, min(end - position, _PIECE_BYTES))
            if not piece:
                raise PictureError("truncated")
            position += len(piece)
            yield piece

    def _data_start(self) -> int:
        header = self.file.read_at(self.header, _LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size:
            raise PictureError("truncated")
        magic, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        if magic != b"PK\x03\x04":
            raise PictureError("damaged")
        return self.header + _LOCAL_HEADER.size + int(name_length) + int(extra_length)


def _inflated(packed: Iterable[bytes]) -> Iterator[bytes]:
    """Undo deflate, at most a piece at a time: a bomb never gets further than its first one."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    for piece in packed:
        while piece and not unpacker.eof:
            yield unpacker.decompress(piece, _PIECE_BYTES)
            piece = unpacker.unconsumed_tail
        if unpacker.eof:
            break
    yield unpacker.flush()


def contents(file: PositionedFile, title: str) -> list[Member]:
    """Return the regular files of a zip; links and folders are left out.

    Raises:
        DataError: There is no readable table of contents.
    """
    try:
        with zipfile.ZipFile(io.BufferedReader(Stream(file))) as archive:
            listed = archive.infolist()
    except _NOT_A_ZIP as error:
        raise DataError(f"{title} is not a folder or a readable zip: {failure_reason(error)}") from error
    members = (
        Member(
            name=_name(info),
            header=info.header_offset,
            packed_size=info.compress_size,
            size=info.file_size,
            crc=info.CRC,
            method=info.compress_type,
            flags=info.flag_bits,
            file=file,
        )
        for info in listed
        if stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG)
    )
    return [member for member in members if not member.name.endswith("/")]


def _name(info: zipfile.ZipInfo) -> str:
    """Return the name in UTF-8 and with forward slashes; some programs break these two rules."""
    name = info.filename.replace("\\", "/") if info.create_system == _DOS else info.filename
    if info.flag_bits & _UTF8_NAME:
        return name
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name
