"""What stands at the end of every checkpoint: a checksum of all that comes before it, and its writer's signature.

A checkpoint is a zip archive, whose last part is a comment of any text. Ours is the signature, a message authentication
code with the user's key over the SHA-256 of the bytes before it, and a SHA-256 over both. So no bit of the file can
change unnoticed, and whoever hasn't the key can't write a file that passes for the user's own.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import zipfile
from pathlib import Path

from litspike.runs.key import user_key

_BEGINNING = b"litspike checkpoint 1\n"
_SIZE = len(_BEGINNING) + 2 * 64  # two texts of hexadecimal digits
_END = b"PK\5\6"  # where the last part of a zip archive begins
_END_SIZE = 22  # its size without the comment, of which the last two bytes are the comment's


class Damaged(Exception):
    """A file that isn't what was once written; its text says why."""


def sign(path: Path) -> None:
    """Write the signature at the end of a checkpoint that has none.

    Raises:
        ValueError: if the file is no zip archive without a comment.
    """
    with path.open("r+b") as file:
        file.seek(-_END_SIZE, io.SEEK_END)
        end = file.read()
        if not (end.startswith(_END) and end.endswith(b"\0\0")):
            raise ValueError(f"{path} is no zip archive without a comment")
        file.seek(-2, io.SEEK_END)
        file.write(_SIZE.to_bytes(2, "little"))
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").digest()
        file.seek(0, io.SEEK_END)
        file.write(_comment(digest, _code(digest, user_key(make=True))))


def verify(content: bytes) -> bool:
    """Check the bytes of a checkpoint, and say whether this user's signature is on them.

    A checkpoint without any, of an earlier version or written by ``torch.save``, has the checksums of its zip archive.

    Raises:
        Damaged: if the checksum is not that of the bytes.
    """
    if content[-_SIZE - _END_SIZE :].startswith(_END) and content[-_SIZE:].startswith(_BEGINNING):
        body, comment = memoryview(content)[:-_SIZE], content[-_SIZE:]
        digest = hashlib.sha256(body).digest()
        code = comment[len(_BEGINNING) : len(_BEGINNING) + 64]
        if body[-2:] != _SIZE.to_bytes(2, "little") or comment != _comment(digest, code):
            raise Damaged("its checksum is not that of its content")
        key = user_key()
        return key is not None and hmac.compare_digest(code, _code(digest, key))
    _check_archive(content)
    return False


def _code(digest: bytes, key: bytes | None) -> bytes:
    """The signature as hexadecimal digits: zeros where there is no key."""
    return hmac.digest(key, _BEGINNING + digest, "sha256").hex().encode() if key else b"0" * 64


def _comment(digest: bytes, code: bytes) -> bytes:
    return _BEGINNING + code + hashlib.sha256(digest + code).hexdigest().encode()


def _check_archive(content: bytes) -> None:
    if not (content[-_END_SIZE:].startswith(_END) and content.endswith(b"\0\0") and content.startswith(b"PK\3\4")):
        raise Damaged("it is cut short, changed or no checkpoint")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            names = {member.filename for member in members}
            if len(names) < len(members) or any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise Damaged("torch writes no such archive")
            wrong = archive.testzip()
    except Damaged:
        raise
    except Exception as error:  # zipfile raises whatever a wrong byte leads it to
        raise Damaged(f"it is no whole zip archive: {error}") from error
    if wrong is not None:
        raise Damaged(f"the checksum of its part {wrong} is not that of its content")
