"""A base backup by the protocol, for servers whose pg_basebackup and pg_combinebackup are not at hand.

The messages inside COPY OUT and the layout of incremental files are those of PostgreSQL 15 and 17
(doc/src/sgml/protocol.sgml; src/backend/backup/basebackup_incremental.c).
"""
import io
import struct
import tarfile

from psycopg import pq

BLOCK_BYTES = 8192
INCREMENTAL_MAGIC = 0xD3AE1F0D
INCREMENTAL_PREFIX = "INCREMENTAL."


def _result(connection, status):
    result = connection.get_result()
    assert result is not None, "the server's answer has ended"
    if result.status != status:
        raise ConnectionError((result.error_message or b"an unexpected result").decode())
    return result


def upload_manifest(stream, manifest):
    connection = stream.connection
    connection.send_query(b"UPLOAD_MANIFEST")
    _result(connection, pq.ExecStatus.COPY_IN)
    for at in range(0, len(manifest), 65536):
        connection.put_copy_data(manifest[at:at + 65536])
    connection.put_copy_end()
    while (result := connection.get_result()) is not None:
        if result.status != pq.ExecStatus.COMMAND_OK:
            raise ConnectionError(result.error_message.decode())


def _receive_archives(connection):
    archives, current = {}, None
    while True:
        length, data = connection.get_copy_data(0)
        if length == -1:
            return archives
        assert length > 0, connection.error_message.decode()
        kind, rest = bytes(data[:1]), bytes(data[1:])
        if kind == b"n":
            current = archives.setdefault(rest.split(b"\0")[0].decode(), bytearray())
        elif kind == b"m":
            current = archives.setdefault("backup_manifest", bytearray())
        elif kind == b"d":
            current += rest


def base_backup(stream, options=""):
    """Runs BASE_BACKUP; its archives by name, and the manifest as "backup_manifest"."""
    connection = stream.connection
    connection.send_query(f"BASE_BACKUP (LABEL 'test', CHECKPOINT 'fast', MANIFEST 'yes'"
                          f"{options})".encode())
    _result(connection, pq.ExecStatus.TUPLES_OK)
    _result(connection, pq.ExecStatus.TUPLES_OK)
    _result(connection, pq.ExecStatus.COPY_OUT)
    archives = _receive_archives(connection)
    _result(connection, pq.ExecStatus.TUPLES_OK)
    while (result := connection.get_result()) is not None:
        assert result.status in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK), \
            result.error_message
    return archives


def files_of(archive):
    """{path: bytes, or None for a directory} of a tar."""
    with tarfile.open(fileobj=io.BytesIO(bytes(archive))) as tar:
        return {member.name.removeprefix("./"): tar.extractfile(member).read()
                if member.isfile() else None for member in tar}


def _rebuild(changes, before):
    """A relation's file from its incremental form and what it was in the backup before."""
    magic, count, length = struct.unpack_from("<III", changes)
    assert magic == INCREMENTAL_MAGIC
    blocks = struct.unpack_from(f"<{count}I", changes, 12)
    at = (12 + 4 * count + BLOCK_BYTES - 1) // BLOCK_BYTES * BLOCK_BYTES
    size = max([length, *(block + 1 for block in blocks)]) * BLOCK_BYTES
    rebuilt = bytearray(before[:size].ljust(size, b"\0"))
    for block in blocks:
        rebuilt[block * BLOCK_BYTES:(block + 1) * BLOCK_BYTES] = changes[at:at + BLOCK_BYTES]
        at += BLOCK_BYTES
    return bytes(rebuilt)


def combine(full, incremental):
    """What pg_combinebackup makes of the files of two backups."""
    combined = {}
    for path, content in incremental.items():
        folder, _, name = path.rpartition("/")
        if name.startswith(INCREMENTAL_PREFIX):
            path = f"{folder}/{name.removeprefix(INCREMENTAL_PREFIX)}"
            content = _rebuild(content, full[path])
        combined[path] = content
    label = combined["backup_label"].decode().splitlines(keepends=True)
    combined["backup_label"] = "".join(
        line for line in label if not line.startswith("INCREMENTAL FROM")).encode()
    return combined


def write_files(files, directory):
    directory.mkdir(mode=0o700)
    for path, content in sorted(files.items()):
        place = directory / path
        if content is None:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
        else:
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            place.write_bytes(content)
